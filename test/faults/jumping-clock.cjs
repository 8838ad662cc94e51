// The clock of a thread, ahead of the real one by what a file says: NODE_OPTIONS has it loaded before all else.
const { readFileSync } = require('node:fs')

const RealDate = Date
const path = process.env.HOLDFAST_TEST_CLOCK

function now() {
  return RealDate.now() + Number(readFileSync(path, 'utf8'))
}

class JumpingDate extends RealDate {
  constructor(...given) {
    super(...(given.length === 0 ? [now()] : given))
  }

  static now() {
    return now()
  }
}

globalThis.Date = JumpingDate
