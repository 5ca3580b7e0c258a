// @ts-check
/** The Python that does what the bench does. */
import {
  MADE,
  STUDENTS,
  CURRICULA,
  PRACTICE,
  pairs,
  own,
  tasksOf,
  mixturesOf,
  mixturesOfTasks,
  roundOf,
  blocksOf,
  roundsOf,
  criterionOf,
} from "./experiment.js";

/** @typedef {import("./experiment.js").Settings} Settings */

/** A call in Python, with the arguments that are not the library's own. @param {string} name @param {any[][]} given */
const call = (name, ...given) =>
  `gl.${name}(${given
    .filter(([, value, usual]) => value !== usual)
    .map(([key, value]) => (key ? `${key}=${value}` : value))
    .join(", ")})`;

/** @param {Settings} settings */
function curriculumCode(settings) {
  const { curriculum, duration, block_length } = settings,
    tasks = tasksOf(settings).length;
  const inTurn = (/** @type {number} */ time, order = `range(${tasks})`) =>
    call("Blocked", ["duration", time], ["block_length", block_length], ["order", order]);
  if (curriculum === "in turn") return inTurn(duration);
  if (curriculum === "at random moments")
    return call(
      "RandomSwitches",
      ["duration", duration],
      ["mean_length", block_length],
      ["tasks", tasks],
      ["draw", settings.draw, 0],
    );
  if (curriculum === "practice, then mixtures")
    return `gl.Phases((
        ${inTurn(PRACTICE * duration)},
        ${inTurn((1 - PRACTICE) * duration, `range(${tasks}, ${tasks + pairs(tasks).length})`)},
    ))`;
  const blocks = blocksOf(settings),
    rounds = roundsOf(settings, blocks);
  const [of, lengths] = [0, 1].map((part) => `${rounds} * [${blocks.map((block) => block[part]).join(", ")}]`);
  return call("BlockSequence", ["tasks", of], ["lengths", lengths]);
}

/** An experiment in Python. @param {Settings} settings */
function experimentCode(settings) {
  const { d_in, d_out, length, correlation, curriculum, student } = settings,
    ofParts = tasksOf(settings);
  const scale = length === 1 ? "None" : `${length} * ${d_in}**-0.5`;
  const drawn = call(
    correlation > 0 ? "Correlated" : "Orthogonal",
    ["tasks", ofParts[0].length],
    ["d_in", d_in],
    ["d_out", d_out],
    ["scale", scale, "None"],
    ["correlation", correlation, 0],
  );
  const rows = (/** @type {number[][]} */ all) => `[${all.map((row) => `(${row.join(", ")})`).join(", ")}]`;
  // first weights have no direction of their own, so that all networks may have the same tasks
  const singles =
    settings.made === MADE[1]
      ? `gl.Given(np.tensordot(
        ${rows(ofParts)},
        ${drawn}.sample(jax.random.key(0)), axes=1,
    ))`
      : drawn;
  const mixed = curriculum === "practice, then mixtures";
  const size = ["weight_scale", settings.weight_scale, 0.01];
  const network =
    student === "two layers"
      ? call("TwoLayer", ["hidden", settings.hidden], ["gate_spread", settings.layer_spread, 0.07], size)
      : call(
          student === STUDENTS[0] ? "GatedLinear" : "NeuronGated",
          ["paths", settings.paths],
          ["gate_init", settings.gate_init, 0.5],
          size,
          ["gate_spread", settings.gate_spread, 0],
        );
  const norm = call("UnitNorm", ["", settings.b], ["ord", Number(settings.norm), 1]);
  const inputs = settings.inputs === "all at once" ? "" : `inputs=gl.Noisy(batch=1, noise=${settings.noise}),`;
  return `gl.Experiment(
    teachers=${mixed ? `gl.Sums(${singles}, weights=${rows(mixturesOfTasks(own(ofParts.length)))})` : singles},
    network=${network},
    curriculum=${curriculumCode(settings)},
    flow=gl.Flow(
        tau_w=${settings.tau_w}, tau_c=${settings.tau_c}, dt=${settings.dt},
        penalties=(gl.Nonnegative(${settings.a}), ${norm}),${inputs && `\n        ${inputs}`}
    ),
)`;
}

/** The Python that does the same, with networks of the library's own. @param {Settings} settings @param {Settings | null} kept */
export function pythonOf(settings, kept) {
  const { mix, round, made, curriculum } = settings;
  if (
    (made === MADE[1] && !mixturesOf(mix)) ||
    (curriculum === CURRICULA[3] && !roundOf(round, tasksOf(settings).length))
  )
    return "# No experiment can be read from these settings: see what is said beside them.\n";
  const noisy = [settings, kept].some((each) => each && each.inputs !== "all at once"),
    mixed = [settings, kept].some((each) => each && each.made === MADE[1]);
  const named = kept
    ? `kept = ${experimentCode(kept)}\nnow = ${experimentCode(settings)}`
    : `now = ${experimentCode(settings)}`;
  return `import gatedlib as gl${mixed ? "\nimport jax\nimport numpy as np" : ""}

${named}
keep = [gl.record.loss, gl.record.gates, gl.record.alignment${noisy ? ", gl.record.population_loss" : ""}]
for experiment${kept ? `, theta, seeds in ((kept, ${criterionOf(kept)}, ${kept.seeds}), (now, ${criterionOf(settings)}, ${settings.seeds}))` : " in (now,)"}:
    results = gl.simulate(experiment, seeds=${kept ? "seeds" : settings.seeds}, record=keep)
${noisy ? "    results = results.assign(loss=results.population_loss)  # on all inputs, not on the sample\n" : ""}    times = gl.metrics.time_to_criterion(results, theta=${kept ? "theta" : criterionOf(settings)})
    aligned = gl.metrics.total_alignment(results)
    print(int((aligned > 0.95).sum()), "of", results.sizes["seed"], "networks with a path for each task")
    print("time to recover, block by block:", times.median("seed").values.round(3))
    gl.plotting.loss(results)
`;
}
