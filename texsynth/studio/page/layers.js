/**
 * The layers that are painted: on the exemplar, and on the canvas.
 */
