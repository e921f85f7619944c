// The charts: a scrolling electrocardiogram (ECG), and the trend of the last minutes.
//
// One loop draws all visible charts. Invisible charts are drawn once per update, and so are all
// charts if the user prefers reduced motion.

const ECG_RATE = 100; // samples per second, as in the server's ecg.rs
const ECG_SECONDS = 5;
const ECG_GAP_SAMPLES = 30; // gap where the connection was lost
const TREND_SECONDS = 180;
const FRAME_MS = 1000 / 30;

const charts = new Set();
const visible = new WeakSet();
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
const darkScheme = matchMedia('(prefers-color-scheme: dark)');
let colors;
let lastFrame = 0;

darkScheme.addEventListener('change', () => { colors = undefined; });

const visibility = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) isIntersecting ? visible.add(target) : visible.delete(target);
});

requestAnimationFrame(function loop(now) {
  requestAnimationFrame(loop);
  if (reducedMotion.matches || now - lastFrame < FRAME_MS) return;
  lastFrame = now;
  for (const chart of charts) if (visible.has(chart.canvas)) chart.draw(now);
});

class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    charts.add(this);
    visibility.observe(canvas);
  }

  remove() {
    charts.delete(this);
    visibility.unobserve(this.canvas);
  }

  /** Draws new data if the loop does not draw this chart. */
  updated() {
    if (reducedMotion.matches || !visible.has(this.canvas)) this.draw(performance.now());
  }

  /**
   * Clears the canvas and returns its context, in CSS pixels; undefined if the canvas has no size.
   */
  begin() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return undefined;
    const scale = devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
    const context = this.canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  }
}

/** The ECG of one patient, shown with a short delay after its samples arrive. */
export class Ecg extends Chart {
  #samples = new Float32Array(ECG_RATE * (ECG_SECONDS + 4)).fill(NaN);
  #written = 0;
  #origin = 0;
  #isStarved = true;

  /** Adds the samples of one update; 100 is the height of the R wave. */
  push(samples) {
    const now = performance.now();
    const ahead = this.#written - this.#head(now);
    if (this.#isStarved || ahead > 2.5 * ECG_RATE) {
      // After a gap, or too far behind: shows the new samples next.
      if (this.#written > 0 && this.#isStarved) this.#append(new Array(ECG_GAP_SAMPLES).fill(NaN));
      this.#origin = now - (this.#written / ECG_RATE) * 1000 + 150;
      this.#isStarved = false;
    }
    this.#append(samples);
    this.updated();
  }

  draw(now) {
    const surface = this.begin();
    if (!surface) return;
    const { context, width, height } = surface;
    const { heartRate, grid } = palette();
    drawGrid(context, width, height, grid);

    const end = reducedMotion.matches ? this.#written : this.#head(now);
    if (this.#written - end <= 0) this.#isStarved = true;
    const shown = ECG_SECONDS * ECG_RATE;
    const first = Math.max(0, Math.ceil(end - shown), this.#written - this.#samples.length);
    const step = width / shown;
    const fade = context.createLinearGradient(0, 0, width, 0);
    fade.addColorStop(0, 'transparent');
    fade.addColorStop(0.12, heartRate);
    context.strokeStyle = fade;
    context.lineWidth = 1.8;
    context.lineJoin = 'round';
    context.beginPath();
    let isPenDown = false;
    let [x, y] = [0, 0];
    for (let at = first; at < end; at += 1) {
      const value = this.#samples[at % this.#samples.length];
      if (Number.isNaN(value)) {
        isPenDown = false;
        continue;
      }
      x = width - 8 - (end - at) * step;
      y = height * 0.68 - (value / 100) * height * 0.52;
      if (isPenDown) context.lineTo(x, y);
      else context.moveTo(x, y);
      isPenDown = true;
    }
    context.stroke();
    if (!isPenDown) return;
    context.fillStyle = heartRate;
    context.beginPath();
    context.arc(x, y, 2.6, 0, 2 * Math.PI);
    context.fill();
  }

  /** Returns the index of the sample that is shown, at most that of the last received sample. */
  #head(now) {
    return Math.min(this.#written, Math.max(0, ((now - this.#origin) / 1000) * ECG_RATE));
  }

  #append(samples) {
    for (const sample of samples) {
      this.#samples[this.#written % this.#samples.length] = sample;
      this.#written += 1;
    }
  }
}

/** The trend: heart rate and oxygen saturation of the last three minutes. */
export class Trend extends Chart {
  #points = [];
  #updatedAt = 0;
  #limits;

  constructor(canvas, limits) {
    super(canvas);
    this.#limits = limits;
  }

  /** Replaces all points with those of the server: one point per second, newest last. */
  fill(points) {
    this.#points = points.slice(-TREND_SECONDS);
    this.#updatedAt = performance.now();
    this.updated();
  }

  push(point) {
    this.#points.push(point);
    if (this.#points.length > TREND_SECONDS) this.#points.shift();
    this.#updatedAt = performance.now();
    this.updated();
  }

  draw(now) {
    const surface = this.begin();
    if (!surface) return;
    const { context, width, height } = surface;
    const { heartRate, spo2, band, muted } = palette();
    const step = width / (TREND_SECONDS - 2);
    // The lines move by one step between two updates.
    const moved = reducedMotion.matches ? 0 : Math.min(1, (now - this.#updatedAt) / 1000);
    const x = (index) => width - (this.#points.length - 1 - index + moved - 1) * step;

    // Saturation uses the upper part and heart rate the lower, so that the lines do not cross.
    const scale = (value, low, high, top, bottom) => bottom - ((value - low) / (high - low)) * (bottom - top);
    const saturation = (value) => scale(value, 80, 100, 5, height * 0.45);
    const rate = (value) => scale(value, 30, 170, height * 0.42, height - 3);
    const [low, high] = this.#limits.heartRate;
    context.fillStyle = band;
    context.fillRect(0, rate(high), width, rate(low) - rate(high));
    context.fillStyle = muted;
    context.font = '10px system-ui, sans-serif';
    context.fillText('3 min', 6, height * 0.56);
    this.#line(context, spo2, x, (point) => saturation(point.spo2));
    this.#line(context, heartRate, x, (point) => rate(point.heartRate));
  }

  #line(context, color, x, y) {
    context.strokeStyle = color;
    context.lineWidth = 1.4;
    context.lineJoin = 'round';
    context.beginPath();
    this.#points.forEach((point, index) => context.lineTo(x(index), y(point)));
    context.stroke();
  }
}

function drawGrid(context, width, height, color) {
  context.strokeStyle = color;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = width - 0.5; x > 0; x -= 22) {
    context.moveTo(Math.round(x) - 0.5, 0);
    context.lineTo(Math.round(x) - 0.5, height);
  }
  for (let y = 0.5; y < height; y += 22) {
    context.moveTo(0, y);
    context.lineTo(width, y);
  }
  context.stroke();
}

/** Returns the colors of the style sheet; reads them again when the color scheme changes. */
function palette() {
  if (!colors) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    colors = {
      heartRate: read('--heart-rate'),
      spo2: read('--spo2'),
      grid: read('--grid'),
      band: read('--band'),
      muted: read('--muted'),
    };
  }
  return colors;
}
