/**
 * What a pane shows: magnified and moved, by pointer, wheel and keys.
 */
