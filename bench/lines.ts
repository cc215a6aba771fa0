/** A process that is asked one thing at a time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A process that answers each line with a line. */
export class Lines {
  private readonly child: ChildProcess;
  private readonly waiting: ((line: string | undefined) => void)[] = [];

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.waiting.shift()?.(line));
    this.child.on('exit', () => {
      for (const done of this.waiting.splice(0)) done(undefined);
    });
  }

  ask(line: string): Promise<string | undefined> {
    if (this.child.exitCode !== null) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.child.stdin!.write(`${line}\n`);
    });
  }

  end(): void {
    this.child.stdin!.end();
  }
}
