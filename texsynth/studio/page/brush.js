/**
 * Strokes of the pointer become paint on a layer.
 */
