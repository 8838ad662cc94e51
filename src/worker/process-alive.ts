/** Whether a process of this machine is there. Its number may be another's by now: what depends on it must be harmless then. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
