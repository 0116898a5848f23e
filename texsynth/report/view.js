// The lit view of a report: the pictures of the page that say their role (<img data-role="normal">) are its maps, and
// the fields of its form what is wanted of `Light`, which stands before this in the same scope.
const view = document.getElementById("view");
const canvas = view.querySelector("canvas");
const field = (name) => view.querySelector(`[name=${name}]`);

const wanted = {
  get shape() { return field("shape").value; },
  get tiles() { return Number(field("tiles").value); },
  get relief() { return Number(field("relief").value) / 100; },
  get moves() { return field("moves").checked; },
  set moves(does) { field("moves").checked = does; },
};

function run() {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) wanted.moves = false;
  if (view.clientWidth < 600) field("shape").value = "plane";
  canvas.dataset.shape = wanted.shape;
  const pictures = [...document.querySelectorAll("img[data-role]")];
  const maps = pictures.map((image) => [image.dataset.role, { image, down: image.dataset.green === "down" }]);
  const light = new Light(canvas, wanted);
  if (!light.show(Object.fromEntries(maps))) return;
  view.dataset.state = "shown";
  view.addEventListener("input", () => {
    canvas.dataset.shape = wanted.shape;
    light.ask();
  });
}
addEventListener("load", run); // when all pictures are there
