/**
 * The contract of the seam in a browser: the embedded kernel and its suites, bundled, on pages of headless Chromium,
 * one for each engine. Each test of the contract is one here, by its name.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Browser, chromium } from 'playwright-core';
import { interpreter, jit } from '../../src/vm/index.ts';
import { embedded } from '../contract/embedded.ts';
import { suites } from '../contract/suites.ts';
import type { Page } from './page.ts';
import type { Outcome } from './shim-test.ts';

const engines = [interpreter, jit];

/** After so long a page hangs. */
const PATIENCE_MS = 300_000;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Chromium, where distributions put it. */
const installed = ['chromium', 'chromium-browser', 'google-chrome-stable']
  .map((name) => join('/usr/bin', name))
  .find((file) => existsSync(file));

function namesOf(engine: (typeof engines)[number]): string[] {
  return Object.entries(suites).flatMap(([suite, tests]) =>
    tests.map(({ name }) => `${embedded(engine).name}: ${suite}: ${name}`),
  );
}

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [here('./page.ts')],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    target: 'es2023',
    conditions: ['source'],
    alias: { 'node:test': here('./shim-test.ts'), 'node:assert/strict': here('./shim-assert.ts') },
    logLevel: 'error',
  });
  return outputFiles[0]!.text;
}

interface Ran {
  readonly outcomes: readonly Outcome[];
  /** What went wrong outside of tests. */
  readonly errors: readonly string[];
}

async function runPage(browser: Browser, content: string, engine: 'interp' | 'jit'): Promise<Ran> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.addScriptTag({ content });
  const outcomes = await page.evaluate((name) => (globalThis as unknown as Page).contract(name), engine);
  return { outcomes, errors };
}

async function runPages(executablePath: string): Promise<Ran[]> {
  // Chromium's own sandbox is not for root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath, args, timeout: PATIENCE_MS });
  const impatient = setTimeout(() => browser.close(), PATIENCE_MS);
  try {
    const content = await bundle();
    return await Promise.all(engines.map(({ name }) => runPage(browser, content, name)));
  } finally {
    clearTimeout(impatient);
    await browser.close();
  }
}

const ran = installed === undefined ? undefined : await runPages(installed);
for (const [i, engine] of engines.entries()) {
  const names = namesOf(engine);
  const page = ran?.[i];
  if (page === undefined) {
    for (const name of names) test(`Chromium: ${name}`, { skip: 'chromium is not installed' }, () => {});
    continue;
  }
  test(`the page with ${engine.name} runs every test of the contract, and nothing else goes wrong`, () => {
    assert.deepEqual(page.errors, []);
    assert.deepEqual(
      page.outcomes.map(({ name }) => name),
      names,
    );
  });
  for (const { name, skipped, failed } of page.outcomes) {
    test(`Chromium: ${name}`, skipped === undefined ? {} : { skip: skipped }, () => {
      assert.equal(failed, undefined);
    });
  }
}
