// @ts-check
/** Heavy work beside the page: functions run in a worker, so that no frame waits for them. */

/** @typedef {(...given: any[]) => any} Work */

/**
 * A worker that runs one function, given with all the functions that it calls; only the latest request is answered.
 *
 * A page from a folder may start no worker from a file, but may start one from the text of what it is to run. A function
 * that is a generator answers with each of its parts.
 */
export class Background {
  /** @param {Work} work @param {Work[]} helpers */
  constructor(work, helpers) {
    const source = [...helpers, work].map(String).join("\n");
    const answer = `onmessage = ({ data: [number, given] }) => {
      const result = ${work.name}(...given);
      if (typeof result?.next === "function") for (const part of result) postMessage([number, part, false]);
      postMessage([number, typeof result?.next === "function" ? null : result, true]);
    };`;
    this.address = URL.createObjectURL(new Blob([source, "\n", answer], { type: "text/javascript" }));
    this.number = 0;
    this.worker = /** @type {Worker | null} */ (null);
  }

  /**
   * Ask, and forget what was asked before.
   * @param {any[]} given @param {(result: any) => void} each @param {() => void} done
   */
  ask(given, each, done = () => {}) {
    this.stop(); // whatever it is doing is no longer wanted
    const number = ++this.number;
    this.worker ??= new Worker(this.address);
    this.worker.onmessage = ({ data: [of, part, last] }) => {
      if (of !== number) return;
      if (part !== null) each(part);
      if (last) {
        this.busy = false;
        done();
      }
    };
    this.busy = true;
    this.worker.postMessage([number, given]);
  }

  /** End what is being computed. */
  stop() {
    if (!this.busy) return;
    this.worker?.terminate();
    this.worker = null;
    this.busy = false;
  }
}
