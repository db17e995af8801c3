// Returns for each text that is seen its contrast with what is behind it, and what it is.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const seen = (text) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = text;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = (top, below) => below.map((each, n) => top[n] * top[3] + each * (1 - top[3]));
const light = (colour) => {
  const [r, g, b] = colour.map((each) => each / 255)
    .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  const above = [];
  for (let each = element; each; each = each.parentElement) above.push(seen(getComputedStyle(each).backgroundColor));
  return above.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
  if (!text || !element.checkVisibility() || element.closest("script, iframe")) continue;
  const style = getComputedStyle(element);
  const ground = behind(element);
  const colour = over(seen(element.closest("svg") ? style.fill : style.color), ground);
  const [a, b] = [light(colour), light(ground)].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), element.outerHTML.slice(0, 120)]);
}
return found;
