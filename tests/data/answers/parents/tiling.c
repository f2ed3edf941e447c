#include <stddef.h>

/* Chooses tile sizes for a matrix product. */
// EVOLVE-BLOCK-START
#define WIDTH 64

static int clamp(int value, int low, int high)
{
    if (value < low) return low;
    return value > high ? high : value;
}

int tile_rows(int rows, int columns)
{
    int tile = WIDTH / 4;
    if (columns > 512) {
        tile = tile / 2;
    }
    return clamp(tile, 1, rows);
}
// EVOLVE-BLOCK-END

int tiles(int rows, int columns)
{
    return (rows + tile_rows(rows, columns) - 1) / tile_rows(rows, columns);
}
