"""The model written the obvious way: raw minibatches, automatic derivatives, nothing shared with gatedlib.

One gate for each path, squared error, penalties on gates. The speed of the library is measured against it, and the
tests compare numbers with it: step by step with all inputs at once, in distribution with batches.
"""

import jax
import jax.numpy as jnp


def objective(params, teacher, inputs, a, b, ord):
    """Loss plus penalties on the gates, and the loss alone: half the squared error, of all inputs if they are None."""
    weights, gates = params
    if inputs is None:
        loss = jnp.sum((jnp.einsum("p,pij->ij", gates, weights) - teacher) ** 2) / 2
    else:
        outputs = jnp.einsum("p,pij,bj->bi", gates, weights, inputs)
        loss = jnp.mean(jnp.sum((outputs - inputs @ teacher.T) ** 2, 1)) / 2
    norm = jnp.sum(jnp.abs(gates)) if ord == 1 else jnp.linalg.norm(gates)
    return loss + a * jnp.sum(jnp.maximum(-gates, 0)) + b / 2 * (norm - 1) ** 2, loss


def run(key, teachers, params, tasks, *, tau_w, tau_c, dt, a=0.0, b=0.0, ord=1, batch=None):
    """Losses and gates before every step, and the parameters at the end.

    Args:
        key: for the inputs.
        teachers: shape (task, out, in).
        params: weights (path, out, in) and gates (path,).
        tasks: the task at every step.
        tau_w, tau_c, dt, a, b, ord: as in gatedlib.
        batch: inputs per step; None for all inputs at once.
    """
    d_in = teachers.shape[-1]

    def step(params, now):
        index, task = now
        inputs = None if batch is None else jax.random.normal(jax.random.fold_in(key, index), (batch, d_in))
        gradient, loss = jax.grad(objective, has_aux=True)(params, teachers[task], inputs, a, b, ord)
        weights, gates = params
        moved = weights - dt / tau_w * gradient[0], gates - dt / tau_c * gradient[1]
        return moved, (loss, gates)

    params, (losses, gates) = jax.lax.scan(step, params, (jnp.arange(len(tasks)), tasks))
    return losses, gates, params


def start(key, tasks=2, paths=2, d_in=20, d_out=10):
    """Teachers and initial parameters of the paper's Fig. 2."""
    teacher_key, weight_key = jax.random.split(key)
    rows, _ = jnp.linalg.qr(jax.random.normal(teacher_key, (d_in, d_in)))
    teachers = rows[: tasks * d_out].reshape(tasks, d_out, d_in) / jnp.sqrt(d_in)
    weights = 0.01 / jnp.sqrt(d_in) * jax.random.normal(weight_key, (paths, d_out, d_in))
    return teachers, (weights, jnp.full(paths, 0.5))
