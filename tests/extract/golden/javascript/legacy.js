var app = (exports = module.exports = {});

/**
 * Dispatch a request.
 */
app.handle = function handle(req, res) {
  res.end(req.url);
};

/** Start and run are the same. */
exports.start = exports.run = function () {
  return app.listen(80);
};

/* istanbul ignore next */
Foo.prototype['to-json'] = function () {
  return '{}';
};

module.exports = {
  /** Key function. */
  key: function (a) {
    return a;
  },

  /** Quoted key. */
  'quoted-key': (b) => b,

  /** Shorthand method. */
  short() {
    return 2;
  },
  trailing: 1, /** Not for the next one. */
  other() {},
};

/** Adds one. */
/* eslint-disable-next-line */
var inc = function (n) {
  return n + 1;
};
