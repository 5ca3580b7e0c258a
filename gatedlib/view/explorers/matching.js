// @ts-check
/**
 * Which path serves which task, and how well all of them do.
 *
 * @typedef {import("./model.js").Start} Start
 */

/**
 * The best one-to-one assignment of columns to rows: the column of each row, -1 for rows that are left over.
 * @param {number[][]} scores what is to be largest in sum @returns {number[]}
 */
export function assignment(scores) {
  const turned = scores.length > scores[0].length;
  const table = turned ? scores[0].map((_, column) => scores.map((row) => row[column])) : scores;
  const [rows, columns] = [table.length, table[0].length];
  // Hungarian method: every row in turn, along the cheapest way over columns whose rows then take other ones. Prices of
  // rows and columns keep all ways that were found before the cheapest.
  const ofRow = new Float64Array(rows),
    ofColumn = new Float64Array(columns),
    holder = new Array(columns).fill(-1);
  for (let row = 0; row < rows; row++) {
    const cost = new Float64Array(columns).fill(Infinity),
      before = new Array(columns).fill(-1),
      done = new Array(columns).fill(false);
    let [from, at, paid] = [row, -1, 0];
    do {
      let next = -1;
      for (let column = 0; column < columns; column++) {
        if (done[column]) continue;
        const price = paid - table[from][column] - ofRow[from] - ofColumn[column];
        if (price < cost[column]) [cost[column], before[column]] = [price, at];
        if (next < 0 || cost[column] < cost[next]) next = column;
      }
      [at, paid] = [next, cost[next]];
      done[at] = true;
      from = holder[at];
    } while (from >= 0);
    ofRow[row] += paid;
    for (let column = 0; column < columns; column++)
      if (done[column] && column !== at) {
        ofRow[holder[column]] += paid - cost[column];
        ofColumn[column] -= paid - cost[column];
      }
    for (; at >= 0; at = before[at]) holder[at] = before[at] < 0 ? row : holder[before[at]];
  }
  if (turned) return holder;
  const found = new Array(rows).fill(-1);
  holder.forEach((row, column) => row >= 0 && (found[row] = column));
  return found;
}

/**
 * Inner products of rows of teachers with rows of paths, and the squares of both, output by output.
 * @param {Start} start @param {ArrayLike<number>} weights (path, row, coordinate), flat
 */
export function productsOfRows(start, weights) {
  const P = start.weights.length,
    R = start.weights[0].length,
    D = start.weights[0][0].length;
  const { gram, outputs = R } = start,
    width = (R * D) / outputs;
  const product = (/** @type {number} */ i, /** @type {ArrayLike<number>} */ u, /** @type {ArrayLike<number>} */ v) => {
    let sum = 0;
    for (let d = 0; d < u.length; d++) {
      if (!gram) sum += u[d] * v[d];
      else for (let e = 0; e < D; e++) sum += u[d] * gram[i][d][e] * v[e];
    }
    return sum;
  };
  const flat = Array.from(weights),
    paths = Array.from({ length: P }, (_, p) => flat.slice(p * R * D, (p + 1) * R * D)),
    teachers = start.targets.map((task) => task.flat());
  return Array.from({ length: gram?.length ?? outputs }, (_, i) => {
    const rows = (/** @type {number[][]} */ all) =>
      gram ? all : all.map((each) => each.slice(i * width, (i + 1) * width));
    const [ours, theirs] = [rows(paths), rows(teachers)];
    const [long, wide] = [ours, theirs].map((each) => each.map((u) => product(i, u, u)));
    return { long, wide, products: theirs.map((u) => ours.map((v) => product(i, u, v))) };
  });
}

/**
 * Cosines of teachers with paths, (row of gates, task, path): summed over outputs where these share their gates.
 * @param {Start} start @param {ArrayLike<number>} weights (path, row, coordinate), flat
 */
export function cosines(start, weights) {
  const all = productsOfRows(start, weights);
  const groups = start.weights[0].length === 1 ? [all] : all.map((each) => [each]);
  return groups.map((group) =>
    group[0].wide.map((_, m) =>
      group[0].long.map((_, p) =>
        group.reduce((sum, { long, wide, products }) => {
          const lengths = Math.sqrt(wide[m] * long[p]);
          return sum + (lengths > 0 ? products[m][p] / lengths : 0);
        }, 0),
      ),
    ),
  );
}

/**
 * Which path serves each task, and how well all of them do: for the best assignment the cosine, over all tasks, of rows
 * of weights with rows of teachers, averaged over outputs. Where outputs have gates of their own, so are assignments.
 * @param {Start} start @param {ArrayLike<number>} weights (path, row, coordinate), flat
 * @param {number[][][]} scores what the assignment is the best of
 * @returns {{order: number[], orders: number[][], cosine: number}} the path of each task, -1 for none: for the first row
 *   of gates, and for each
 */
export function alignment(start, weights, scores = cosines(start, weights)) {
  const all = productsOfRows(start, weights),
    orders = scores.map(assignment);
  let total = 0;
  all.forEach(({ long, wide, products }, i) => {
    let [both, ours, theirs] = [0, 0, 0];
    orders[orders.length === 1 ? 0 : i].forEach((p, m) => {
      theirs += wide[m];
      if (p < 0) return;
      both += products[m][p];
      ours += long[p];
    });
    total += ours > 0 ? both / Math.sqrt(ours * theirs) : 0;
  });
  return { order: orders[0], orders, cosine: total / all.length };
}

/**
 * A layer of hidden units as paths of one row, and the outputs of tasks as tasks, for what is said of paths to hold.
 * @param {number[][][]} targets (task, output, coordinate) @param {ArrayLike<number>} weights (hidden, coordinate), flat
 */
export function unitsAsPaths(targets, weights) {
  const D = targets[0][0].length;
  const one = (/** @type {number[]} */ row) => [row];
  const hidden = Array.from({ length: weights.length / D }, (_, h) => Array.from(weights).slice(h * D, (h + 1) * D));
  return { targets: targets.flat().map(one), weights: hidden.map(one), gates: [] };
}

/**
 * Which hidden unit serves each output of each task, and how well all of them do, as `alignment` has it for paths.
 * @param {number[][][]} targets (task, output, coordinate) @param {ArrayLike<number>} weights (hidden, coordinate), flat
 * @param {number[][][]} scores what the assignment is the best of
 * @returns {{units: number[][], cosine: number}} units (task, output), -1 for none
 */
export function alignmentOfUnits(targets, weights, scores = cosines(unitsAsPaths(targets, weights), weights)) {
  const O = targets[0].length,
    [found] = scores.map(assignment),
    [{ long, wide, products }] = productsOfRows(unitsAsPaths(targets, weights), weights);
  let total = 0;
  for (let i = 0; i < O; i++) {
    let [both, ours, theirs] = [0, 0, 0];
    for (let place = i; place < found.length; place += O) {
      theirs += wide[place];
      if (found[place] < 0) continue;
      both += products[place][found[place]];
      ours += long[found[place]];
    }
    total += ours > 0 ? both / Math.sqrt(ours * theirs) : 0;
  }
  return { units: targets.map((_, m) => found.slice(m * O, (m + 1) * O)), cosine: total / O };
}
