def areas(sides):
    return [side**2 for side in sides]
