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
    this.work = work;
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
    const answered = (/** @type {number} */ of, /** @type {any} */ part, /** @type {boolean} */ last) => {
      if (of !== this.number) return;
      if (part !== null) each(part);
      if (!last) return;
      this.busy = false;
      done();
    };
    this.busy = true;
    try {
      this.worker ??= new Worker(this.address);
      this.worker.onmessage = ({ data: [of, part, last] }) => answered(of, part, last);
      this.worker.onerror = (event) => {
        event.preventDefault();
        this.here(number, given, answered);
      };
      this.worker.postMessage([number, given]);
    } catch {
      this.here(number, given, answered);
    }
  }

  /**
   * The same without a worker, where a page may have none: part by part, so that it can be drawn in between.
   * @param {number} number @param {any[]} given @param {(of: number, part: any, last: boolean) => void} answered
   */
  here(number, given, answered) {
    this.worker = null;
    const result = this.work(...given);
    if (typeof result?.next !== "function") return void setTimeout(answered, 0, number, result, true);
    const go = () => {
      if (number !== this.number) return;
      const { value, done } = result.next();
      answered(number, done ? null : value, Boolean(done));
      if (!done) setTimeout(go);
    };
    setTimeout(go);
  }

  /** End what is being computed. */
  stop() {
    if (!this.busy) return;
    this.worker?.terminate();
    this.worker = null;
    this.busy = false;
  }
}
