/**
 * Strokes that say a direction become a field of directions.
 */
