import a_library_that_nobody_has

get_db = a_library_that_nobody_has.get_db
