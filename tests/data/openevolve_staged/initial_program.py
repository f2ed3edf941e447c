# The whole file may change: it holds no markers.
import json
import sys


def sort_list(values):
    return sorted(values)


if __name__ == "__main__":
    print(json.dumps([sort_list(values) for values in json.load(sys.stdin)]))
