'use strict';

/**
 * Creates a store.
 * @param {object} state
 */
export function createStore(state) {
  /** Reads the state. */
  const get = () => state;
  return { get };
}

/** Waits a moment. */
export const wait = async (ms) => {
  await new Promise((done) => setTimeout(done, ms));
};

/** Counts upwards. */
function* counter() {
  yield 1;
}

// A line comment is no documentation.
function plain() {}

/** Detached. */

function detached() {}

const debounced = debounce(() => {
  /** Not captured: a callback. */
  run();
});

/** The default. */
export default function () {
  return createStore({});
}
