// The page of several trainings: their curves over each other.
import { CurvePanel } from "./curves.js";

const place = document.querySelector("[data-compare]");
if (place) {
  const groups = JSON.parse(place.dataset.groups);
  new CurvePanel(place, {
    ids: place.dataset.compare.split(","),
    follow: true,
    groups: Object.keys(groups).length ? groups : null,
  });
}
