class Shape:
    def area(self, side):
        return side * side


def areas(sides):
    shape = Shape()
    return [shape.area(side) for side in sides]
