"use strict";
// The cameras around the hull, turned by dragging: a parallel projection onto the canvas.
(() => {
  const scene = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("scene");
  const pointed = document.getElementById("pointed");
  const said = pointed.textContent;
  const context = canvas.getContext("2d");
  let turn = 0.6, tilt = 0.45, drag = null, places = [];

  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const unit = (a) => { const length = Math.hypot(...a) || 1; return a.map((value) => value / length); };
  const up = dot(scene.up, scene.up) > 0.5 ? scene.up : [0, 0, 1];
  const least = up.map(Math.abs).indexOf(Math.min(...up.map(Math.abs)));
  const first = unit(cross(up, [0, 1, 2].map((axis) => (axis === least ? 1 : 0))));
  const second = cross(up, first);

  function draw() {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--quiet"), bad = style.getPropertyValue("--bad"), note = style.getPropertyValue("--note");
    const towards = [0, 1, 2].map((n) => Math.cos(tilt) * (Math.cos(turn) * first[n] + Math.sin(turn) * second[n]) + Math.sin(tilt) * up[n]);
    const right = unit(cross(up, towards)), above = cross(towards, right);
    const size = 0.42 * Math.min(width, height);
    const place = (point) => [width / 2 + size * dot(point, right), height / 2 - size * dot(point, above)];
    context.fillStyle = note;
    context.globalAlpha = 0.35;
    for (const point of scene.points) {
      const [x, y] = place(point);
      context.fillRect(x - 1, y - 1, 2, 2);
    }
    context.globalAlpha = 1;
    places = scene.cameras.map((camera) => {
      const corners = camera.corners.map(place);
      context.strokeStyle = camera.faulty ? bad : ink;
      context.lineWidth = camera.faulty ? 2 : 1;
      context.beginPath();
      corners.slice(1).forEach((corner, n) => {
        context.moveTo(...corners[0]);
        context.lineTo(...corner);
        context.lineTo(...corners[(n + 1) % 4 + 1]);
      });
      context.stroke();
      return corners[0];
    });
  }

  function turnBy(across, down) {
    turn -= across;
    tilt = Math.max(-1.5, Math.min(1.5, tilt + down));
    draw();
  }
  canvas.addEventListener("pointerdown", (event) => { drag = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (drag) {
      turnBy((event.clientX - drag[0]) / 150, (event.clientY - drag[1]) / 150);
      drag = [event.clientX, event.clientY];
      return;
    }
    const box = canvas.getBoundingClientRect();
    const far = places.map(([x, y]) => Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top));
    const nearest = far.indexOf(Math.min(...far));
    pointed.textContent = far[nearest] < 12 ? scene.cameras[nearest].name : said;
  });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    if (by) {
      event.preventDefault();
      turnBy(...by);
    }
  });
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
