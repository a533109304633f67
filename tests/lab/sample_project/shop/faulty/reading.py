def read(environment, name):
    return environment[name]
