def draw(seed):
    return float(seed)
