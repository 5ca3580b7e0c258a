/* The reduced model: two paths and two gates, in the plane of two teachers. The same steps as gatedlib takes. */
(function () {
  "use strict";

  const TEACHER = Math.SQRT1_2; // the length of the paper's teachers: sqrt(10 outputs / 20 inputs)

  /* Learn from settings {tau_w, tau_c, a, b, block_length, duration, dt, weights: [[,], [,]], gates: [,]}.
     Gives, for every step, what was true before it: loss, gates, weights, the task that was on. */
  function learn(settings) {
    const { tau_w, tau_c, a, b, dt } = settings;
    const steps = Math.round(settings.duration / dt);
    const block = Math.round(settings.block_length / dt);
    const kept = () => new Float64Array(steps);
    const run = { steps, block, dt, task: new Uint8Array(steps), loss: kept(), gates: [kept(), kept()] };
    run.weights = [[kept(), kept()], [kept(), kept()]];
    let [[w11, w12], [w21, w22]] = settings.weights;
    let [c1, c2] = settings.gates;
    for (let t = 0; t < steps; t++) {
      const task = Math.floor(t / block) % 2;
      const e1 = (task === 0 ? TEACHER : 0) - (c1 * w11 + c2 * w21);
      const e2 = (task === 1 ? TEACHER : 0) - (c1 * w12 + c2 * w22);
      run.task[t] = task;
      run.loss[t] = (e1 * e1 + e2 * e2) / 2;
      run.gates[0][t] = c1;
      run.gates[1][t] = c2;
      run.weights[0][0][t] = w11;
      run.weights[0][1][t] = w12;
      run.weights[1][0][t] = w21;
      run.weights[1][1][t] = w22;
      const spring = b * (Math.abs(c1) + Math.abs(c2) - 1);
      const push1 = w11 * e1 + w12 * e2 - spring * Math.sign(c1) + (c1 < 0 ? a : 0);
      const push2 = w21 * e1 + w22 * e2 - spring * Math.sign(c2) + (c2 < 0 ? a : 0);
      w11 += (dt / tau_w) * c1 * e1;
      w12 += (dt / tau_w) * c1 * e2;
      w21 += (dt / tau_w) * c2 * e1;
      w22 += (dt / tau_w) * c2 * e2;
      c1 += (dt / tau_c) * push1;
      c2 += (dt / tau_c) * push2;
    }
    return run;
  }

  /* What each pair of paths conserves while both gates are positive, in units of tau_c. */
  function invariant(run, { tau_w, tau_c }) {
    const [[w11, w12], [w21, w22]] = run.weights;
    return run.loss.map((_, t) => {
      const apart = (w11[t] - w21[t]) ** 2 + (w12[t] - w22[t]) ** 2;
      return (run.gates[0][t] - run.gates[1][t]) ** 2 - (tau_w / tau_c) * apart;
    });
  }

  /* How long after the start of each whole block the loss falls below 0.1; the block's length if it never does. */
  function recoveries(run) {
    const times = [];
    for (let start = 0; start + run.block <= run.steps; start += run.block) {
      let t = 0;
      while (t < run.block && run.loss[start + t] >= 0.1) t++;
      times.push(t * run.dt);
    }
    return times;
  }

  /* The cosine between both paths and both teachers at the end, for the better way to match them; which way that is. */
  function alignment(run) {
    const last = run.steps - 1;
    const [[w11, w12], [w21, w22]] = run.weights.map((path) => path.map((each) => each[last]));
    const length = Math.hypot(w11, w12, w21, w22) * Math.SQRT2;
    return { cosine: Math.max(w11 + w22, w12 + w21) / length, swapped: w12 + w21 > w11 + w22 };
  }

  /* Python that makes the same run. */
  function code(settings) {
    const { tau_w, tau_c, a, b, block_length, duration, dt, weights, gates } = settings;
    const numbers = (list) => `[${list.map((each) => (Array.isArray(each) ? numbers(each) : String(each))).join(", ")}]`;
    return `import numpy as np

import gatedlib as gl

experiment = gl.Experiment(
    teachers=gl.Given(np.sqrt(0.5) * np.eye(2)[:, :, None]),  # two tasks, in two coordinates
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(duration=${duration}, block_length=${block_length}),
    flow=gl.Flow(tau_w=${tau_w}, tau_c=${tau_c}, dt=${dt}, penalties=(gl.Nonnegative(${a}), gl.UnitNorm(${b}))),
)
weights = np.array(${numbers(weights)})
start = gl.Params(weights=weights[None, :, :, None], gates=np.array([${numbers(gates)}]))
keep = [gl.record.loss, gl.record.gates, gl.record.weights]
results = gl.simulate(experiment, seeds=1, record=keep, initial=start)
gl.plotting.gates(results)
`;
  }

  window.gatedlib = { learn, invariant, recoveries, alignment, code, TEACHER };
})();
