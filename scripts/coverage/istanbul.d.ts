/** What scripts/coverage uses of a package that brings no types. */
declare module "istanbul-lib-instrument" {
  interface Place {
    readonly start: { readonly line: number; readonly column: number };
    readonly end: { readonly line: number; readonly column: number };
  }

  /** What can be counted in one file, by number, and how often each was reached. */
  export interface FileCoverage {
    readonly path: string;
    readonly statementMap: Readonly<Record<string, Place>>;
    readonly fnMap: Readonly<Record<string, { readonly name: string }>>;
    readonly branchMap: Readonly<Record<string, { readonly locations: readonly Place[] }>>;
    readonly s: Record<string, number>;
    readonly f: Record<string, number>;
    readonly b: Record<string, number[]>;
  }

  export interface Instrumenter {
    instrumentSync(code: string, file: string): string;
    lastFileCoverage(): FileCoverage;
  }

  export function createInstrumenter(options: {
    readonly esModules: boolean;
    readonly compact: boolean;
    readonly coverageGlobalScope: string;
    readonly coverageGlobalScopeFunc: boolean;
    readonly parserPlugins: readonly string[];
  }): Instrumenter;
}
