// The ways in which a source file can be wrong by a little: one change each, found in its syntax tree.
import ts from 'typescript';

const { SyntaxKind } = ts;

/** Operator → the one it is mistaken for. */
const operators = new Map([
  [SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [SyntaxKind.LessThanToken, '<='],
  [SyntaxKind.LessThanEqualsToken, '<'],
  [SyntaxKind.GreaterThanToken, '>='],
  [SyntaxKind.GreaterThanEqualsToken, '>'],
  [SyntaxKind.AmpersandAmpersandToken, '||'],
  [SyntaxKind.BarBarToken, '&&'],
  [SyntaxKind.QuestionQuestionToken, '&&'],
  [SyntaxKind.PlusToken, '-'],
  [SyntaxKind.MinusToken, '+'],
  [SyntaxKind.PlusEqualsToken, '-='],
  [SyntaxKind.MinusEqualsToken, '+='],
]);

/**
 * @typedef {object} Mutant
 * @property {number} start
 * @property {number} end
 * @property {string} text what stands there instead
 * @property {number} line from 1
 * @property {string} what
 */

/**
 * @param {string} source TypeScript
 * @returns {Mutant[]} in the order of the file
 */
export function mutantsOf(source) {
  const file = ts.createSourceFile('file.ts', source, ts.ScriptTarget.Latest, true);
  const mutants = [];
  const change = (node, text, what) => {
    const start = node.getStart(file);
    const line = file.getLineAndCharacterOfPosition(start).line + 1;
    mutants.push({ start, end: node.getEnd(), text, line, what });
  };
  const short = (node) => node.getText(file).replaceAll(/\s+/g, ' ').slice(0, 60);

  function visit(node) {
    if (
      ts.isTypeNode(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isImportDeclaration(node)
    )
      return;
    if (ts.isBinaryExpression(node)) {
      const { operatorToken: operator } = node;
      const other = operators.get(operator.kind);
      // A text that is put together the other way round is not a decision.
      const isText = operator.kind === SyntaxKind.PlusToken && /[`'"]/.test(node.getText(file));
      if (other && !isText) change(operator, other, `${short(node)}: ${operator.getText(file)} → ${other}`);
    } else if (ts.isPrefixUnaryExpression(node) && node.operator === SyntaxKind.ExclamationToken) {
      change(node, `(${node.operand.getText(file)})`, `${short(node)}: without !`);
    } else if (node.kind === SyntaxKind.TrueKeyword || node.kind === SyntaxKind.FalseKeyword) {
      const other = node.kind === SyntaxKind.TrueKeyword ? 'false' : 'true';
      change(node, other, `${short(node.parent)}: ${node.getText(file)} → ${other}`);
    } else if (ts.isNumericLiteral(node)) {
      change(node, `(${node.getText(file)} + 1)`, `${short(node.parent)}: ${node.getText(file)} + 1`);
    } else if (ts.isExpressionStatement(node) && ts.isCallExpression(node.expression)) {
      change(node, ';', `${short(node)}: left out`);
    } else if (ts.isReturnStatement(node) && node.expression && node.expression.kind !== SyntaxKind.FalseKeyword) {
      change(node, 'return undefined as never;', `${short(node)}: returns nothing`);
    }
    if (ts.isIfStatement(node) || ts.isConditionalExpression(node)) {
      const condition = ts.isIfStatement(node) ? node.expression : node.condition;
      change(condition, `!(${condition.getText(file)})`, `${short(condition)}: the other way round`);
    }
    ts.forEachChild(node, visit);
  }
  visit(file);
  return mutants;
}
