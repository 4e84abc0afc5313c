/** Which command to a station is worth a line: one that holds, or one that went wrong. */

import type { Command } from '../types'

export function worthTelling(command: Command | undefined, now: number): Command | null {
  if (!command) return null
  if (command.until !== null && Date.parse(command.until) <= now) return null
  const wrong = command.state === 'refused' || command.state === 'unanswered'
  const waiting = command.state === 'pending' || command.state === 'sent'
  const holds = command.state === 'accepted' && command.until !== null
  return wrong || waiting || holds ? command : null
}
