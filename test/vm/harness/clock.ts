/**
 * How many times slower than the machine these tests were written on this one is expected to be: 2 cores, QEMU without
 * KVM, 12 s from power-on to a kernel. Every timeout of the harness is multiplied by it. Set by FIRN_TEST_SLOWNESS.
 */
export const slowness: number = readSlowness(process.env["FIRN_TEST_SLOWNESS"]);

function readSlowness(text: string | undefined): number {
  // 3 unless told otherwise: shared CI machines were seen to be two to three times slower.
  if (text === undefined || text === "") return 3;
  const factor = Number(text);
  if (!(factor > 0)) throw new Error(`FIRN_TEST_SLOWNESS is ${text}: a number above 0 is wanted`);
  return factor;
}

/** Resolves like `promise`, or rejects with what `late()` says after `seconds` times the slowness factor. */
export async function within<T>(promise: Promise<T>, seconds: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), seconds * slowness * 1000);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for so many milliseconds, not scaled. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
