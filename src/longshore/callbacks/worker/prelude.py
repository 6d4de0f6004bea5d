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
  let run = null, codes = '', failures = [], at = 0, last = 0, busy = false, missing = false;
  let lines = [], linesLeft = 0, truncated = false;

  class Timestamp {
    constructor(microseconds) { this.microseconds = microseconds; }
    getSeconds() { return floor(this.microseconds / 1e6); }
    getNanos() { return (this.microseconds - this.getSeconds() * 1e6) * 1000; }
    toDate() { return new DateClass(floor(this.microseconds / 1000)); }
    ToDatetime() { return this.toDate(); }
  }
  class Batch {
    constructor(texts) {
      this.texts = texts;
      this.path = this.mode = this.uid = this.gid = this.size = null;
      this.atime = this.mtime = this.ctime = this.metadata = null;
    }
    read(number, fact) {
      if (this.texts[number] === null) {
        missing = true; last = 0;  // whatever the script makes of it, no answer counts any more
        throw null;
      }
      const column = this[fact] = parse(this.texts[number]);
      this.texts[number] = null;
      return column;
    }
  }
  class NodeInfo {
    constructor(batch, index) { this.batch = batch; this.index = index; }
    getPath() { return (this.batch.path || this.batch.read(0, 'path'))[this.index]; }
    getMode() { return (this.batch.mode || this.batch.read(1, 'mode'))[this.index]; }
    getUid() { return (this.batch.uid || this.batch.read(2, 'uid'))[this.index]; }
    getGid() { return (this.batch.gid || this.batch.read(3, 'gid'))[this.index]; }
    getSize() { return (this.batch.size || this.batch.read(4, 'size'))[this.index]; }
    getAtime() {
      return new Timestamp((this.batch.atime || this.batch.read(5, 'atime'))[this.index]);
    }
    getMtime() {
      return new Timestamp((this.batch.mtime || this.batch.read(6, 'mtime'))[this.index]);
    }
    getCtime() {
      return new Timestamp((this.batch.ctime || this.batch.read(7, 'ctime'))[this.index]);
    }
    getMetadata() {
      return (this.batch.metadata || this.batch.read(8, 'metadata'))[this.index] || {};
    }
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

  global.utils = Object.freeze({ getNodeInfo: req => new NodeInfo(req.batch, req.index) });
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
      codes = ''; failures = []; busy = missing = false; last = end;
      const until = now() + sliceMilliseconds;
      for (at = first; at < last; at++) {
        if (at > first && now() > until) break;
        busy = true;
        try { decide(run(new Request(batch, at))); } catch (error) { fail(error); }
        busy = false;
      }
    },
    () => {
      const outcome = stringify([codes, failures, lines, truncated, busy, missing]);
      lines = [];
      return outcome;
    },
  ];
})(globalThis);
"""

PRELUDE: Final = "\n" * FIRST_LINE + _SOURCE
