/** Answers of route netlink: messages, acknowledgements and what the kernel says in them; bad ones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SkepError } from '../base/errors.ts';
import { takeMessages } from './netlink.ts';

/** A message of a type; the payload as words of 32 bits, and a text as an attribute of type 1 behind it. */
function message(type: number, words: readonly number[], text?: string, flags = 0): Uint8Array {
  const attribute = text === undefined ? 0 : (4 + text.length + 1 + 3) & ~3;
  const bytes = new Uint8Array(16 + 4 * words.length + attribute);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  for (const [i, word] of words.entries()) view.setInt32(16 + 4 * i, word, true);
  if (text !== undefined) {
    const at = 16 + 4 * words.length;
    view.setUint16(at, 4 + text.length + 1, true);
    view.setUint16(at + 2, 1, true);
    bytes.set(new TextEncoder().encode(text), at + 4);
  }
  return bytes;
}

const [ERROR, DONE, LINK] = [2, 3, 16];
const CAPPED = 0x100;
const TLVS = 0x200;
const request = [16, 0, 0, 0];
const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

describe('an answer', () => {
  const good = [
    { name: 'an acknowledgement', bytes: message(ERROR, [0, ...request]), done: true, count: 0 },
    { name: 'a message', bytes: message(LINK, [1, 2]), done: false, count: 1 },
    {
      name: 'two messages, then the acknowledgement',
      bytes: joined(message(LINK, [1]), message(LINK, [2]), message(ERROR, [0])),
      done: true,
      count: 2,
    },
    {
      name: 'the end of a list',
      bytes: joined(message(LINK, [1]), message(DONE, [0])),
      done: true,
      count: 1,
    },
    {
      name: 'a length beyond the datagram',
      bytes: Uint8Array.of(99, ...new Uint8Array(31)),
      done: false,
      count: 0,
    },
    { name: 'a length of nothing', bytes: new Uint8Array(32), done: false, count: 0 },
  ];
  for (const { name, bytes, done, count } of good) {
    test(name, () => {
      const answers: Uint8Array[] = [];
      assert.equal(takeMessages(bytes, answers), done);
      assert.equal(answers.length, count);
    });
  }

  const bad = [
    {
      name: 'an errno',
      bytes: message(ERROR, [-16, ...request]),
      want: 'netlink: Device or resource busy (EBUSY)',
    },
    {
      name: 'what the kernel says, behind the whole request',
      bytes: message(ERROR, [-22, ...request], 'XDP program already attached', TLVS),
      want: 'netlink: Invalid argument (EINVAL) (XDP program already attached)',
    },
    {
      name: 'behind the header of the request alone',
      bytes: message(ERROR, [-22, 999, 0, 0, 0], 'no', TLVS | CAPPED),
      want: 'netlink: Invalid argument (EINVAL) (no)',
    },
    {
      name: 'attributes that are cut short',
      bytes: message(ERROR, [-22, ...request, 3], undefined, TLVS),
      want: 'netlink: Invalid argument (EINVAL)',
    },
    {
      name: 'an acknowledgement without an errno',
      bytes: message(ERROR, []),
      want: 'netlink: EBADMSG (EBADMSG)',
    },
    {
      name: 'nothing',
      bytes: new Uint8Array(),
      want: 'netlink: Broken pipe (EPIPE) (the kernel sent nothing)',
    },
  ];
  for (const { name, bytes, want } of bad) {
    test(name, () => {
      assert.throws(
        () => takeMessages(bytes, []),
        (error) => error instanceof SkepError && error.line === want,
      );
    });
  }

  test('any bytes end in an answer or an error of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => {
        try {
          takeMessages(bytes, []);
        } catch (error) {
          assert.ok(error instanceof SkepError);
        }
      }),
    );
  });
});
