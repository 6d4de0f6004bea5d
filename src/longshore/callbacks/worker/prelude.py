"""The JavaScript that surrounds a script: the request's getters, the loop, the bounded console.

The server cannot name a file for QuickJS, so script and prelude share one. The prelude therefore
starts behind a million empty lines: a line number of seven digits in a stack is the prelude's own.
"""

from typing import Final

FIRST_LINE: Final = 1_000_000

_SOURCE: Final = r"""
(function (global) {
  'use strict';
  const parse = JSON.parse, stringify = JSON.stringify, text = String, now = Date.now;
  const DateClass = Date, MapClass = Map, floor = Math.floor;
  let batch = null, taskId = 0, lineLimit = 0, lineCharacters = 0, textCharacters = 0;
  let run = null, codes = '', failures = [], at = 0, busy = false;
  let lines = [], linesLeft = 0, truncated = false;

  class Timestamp {
    constructor(microseconds) { this.microseconds = microseconds; }
    getSeconds() { return floor(this.microseconds / 1e6); }
    getNanos() { return (this.microseconds - this.getSeconds() * 1e6) * 1000; }
    toDate() { return new DateClass(floor(this.microseconds / 1000)); }
    ToDatetime() { return this.toDate(); }
  }
  class Batch {
    constructor(columns) { this.texts = columns; this.columns = []; }
    column(number) {
      const column = this.columns[number];
      return column === undefined ? this.read(number) : column;
    }
    read(number) {
      const column = this.columns[number] = parse(this.texts[number]);
      this.texts[number] = null;
      return column;
    }
  }
  class NodeInfo {
    constructor(request) { this.batch = request.batch; this.index = request.index; }
    getPath() { return this.batch.column(0)[this.index]; }
    getMode() { return this.batch.column(1)[this.index]; }
    getUid() { return this.batch.column(2)[this.index]; }
    getGid() { return this.batch.column(3)[this.index]; }
    getSize() { return this.batch.column(4)[this.index]; }
    getAtime() { return new Timestamp(this.batch.column(5)[this.index]); }
    getMtime() { return new Timestamp(this.batch.column(6)[this.index]); }
    getCtime() { return new Timestamp(this.batch.column(7)[this.index]); }
    getMetadata() { return this.batch.column(8)[this.index] || {}; }
    getMetadataMap() { return new MapClass(Object.entries(this.getMetadata())); }
  }
  class Request {
    constructor(batch, index) { this.batch = batch; this.index = index; }
    getId() { return taskId; }
    get id() { return taskId; }
  }

  function log(...values) {
    if (linesLeft <= 0) { truncated = true; return; }
    const all = values.map(v => text(v)).join(' ').slice(0, 65536).split('\n');
    for (const line of all) {
      if (linesLeft <= 0) { truncated = true; return; }
      if (line.length > lineCharacters) truncated = true;
      lines.push(line.slice(0, lineCharacters));
      linesLeft--;
    }
  }
  function lineOf(error) {
    const found = /<input>:(\d{1,6})(?!\d)/.exec(error.stack || '');
    return found ? +found[1] : 0;
  }
  function fail(error) {
    let line = 0, shown = 'an error that cannot be shown';
    try { shown = text(error).slice(0, textCharacters); line = lineOf(error); } catch (_) { }
    failures.push([at, shown, line]);
    codes += '2';
  }
  function decide(answer) {
    if (answer === true) codes += '1';
    else if (answer === false) codes += '0';
    else {
      const kind = answer === null ? 'null' : typeof answer;
      failures.push([at, 'TypeError: run(req) must return true or false, not ' + kind, 0]);
      codes += '2';
    }
  }

  global.utils = Object.freeze({ getNodeInfo: request => new NodeInfo(request) });
  global.print = log;
  global.console = Object.freeze({ log, info: log, warn: log, error: log, debug: log });
  global.__longshore = [
    (id, limit, characters, errorCharacters) => {
      taskId = id; lineLimit = linesLeft = limit;
      lineCharacters = characters; textCharacters = errorCharacters;
    },
    found => { run = found; },
    (...columns) => {
      batch = new Batch(columns); linesLeft = lineLimit - lines.length; truncated = false;
    },
    (first, end, sliceMilliseconds) => {
      codes = ''; failures = []; busy = false;
      const until = now() + sliceMilliseconds;
      for (at = first; at < end; at++) {
        if (at > first && now() > until) break;
        busy = true;
        try { decide(run(new Request(batch, at))); } catch (error) { fail(error); }
        busy = false;
      }
    },
    () => {
      const outcome = stringify([codes, failures, lines, truncated, busy]);
      lines = [];
      return outcome;
    },
  ];
})(globalThis);
"""

PRELUDE: Final = "\n" * FIRST_LINE + _SOURCE
