import os

from shop.faulty.reading import read

URL = read(os.environ, "SHOP_DATABASE_URL")
