"""What the routes take and what they answer."""

from pydantic import BaseModel, ConfigDict, Field


class NewItem(BaseModel):
    """An item to put on the shelf."""

    name: str


class NewOrder(BaseModel):
    """An order that a customer places under a reference of their own."""

    reference: str


class Transfer(BaseModel):
    """Coins that go from one account to another."""

    reference: str = ""
    source: str = "alice"
    target: str = "bob"
    amount: int = Field(default=30, gt=0, le=1_000_000)
    error_status: int = Field(default=500, ge=400, le=599)


class ItemAnswer(BaseModel):
    """An item on the shelf."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class AccountAnswer(BaseModel):
    """An account and what is in it."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    balance: int


class OrderAnswer(BaseModel):
    """What the customer learns of an order."""

    order_id: int
    reference: str
