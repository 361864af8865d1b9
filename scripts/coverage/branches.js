// Where a program may go one way or another, and how to tell from the counts whether it went there.
import ts from 'typescript';

/**
 * @typedef {object} Branch
 * @property {number} offset  where it is decided
 * @property {(count: (offset: number) => number) => number} taken  how often
 * @property {string} what
 */

/**
 * @param {string} text of a JavaScript file
 * @returns {Branch[]}
 */
export function branchesOf(text) {
  const file = ts.createSourceFile('dist.js', text, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  /** @type {Branch[]} */
  const branches = [];
  const arm = (node, what) => {
    const offset = node.getStart(file);
    branches.push({ offset, what, taken: (count) => count(offset) });
  };
  /** The way that is not written down: as often as the whole was run, but not this part. */
  const rest = (whole, part, what) => {
    const [at, inside] = [whole.getStart(file), part.getStart(file)];
    branches.push({ offset: at, what, taken: (count) => count(at) - count(inside) });
  };
  const logical = new Map([
    [ts.SyntaxKind.AmpersandAmpersandToken, '&&'],
    [ts.SyntaxKind.BarBarToken, '||'],
    [ts.SyntaxKind.QuestionQuestionToken, '??'],
    [ts.SyntaxKind.QuestionQuestionEqualsToken, '??='],
  ]);
  const visit = (node) => {
    if (ts.isIfStatement(node)) {
      arm(node.thenStatement, 'if');
      if (node.elseStatement) arm(node.elseStatement, 'else');
      else rest(node, node.thenStatement, 'else');
    } else if (ts.isConditionalExpression(node)) {
      arm(node.whenTrue, '?');
      arm(node.whenFalse, ':');
    } else if (ts.isCaseOrDefaultClause(node)) {
      if (node.statements.length > 0) arm(node.statements[0], 'case');
    } else if (ts.isBinaryExpression(node) && logical.has(node.operatorToken.kind)) {
      const operator = logical.get(node.operatorToken.kind);
      arm(node.right, operator);
      rest(node, node.right, `short of ${operator}`);
    } else if (ts.isCatchClause(node)) {
      if (node.block.statements.length > 0) arm(node.block.statements[0], 'catch');
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return branches;
}
