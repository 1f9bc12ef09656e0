"""Tokens -> tree, by recursive descent. Goes on after a mistake where it can, so that all are told at once.

    or < and < not < comparison < + - < * / < - (sign) < **

Nesting is bounded while reading (brackets, signs) and by the depth of the tree (long chains), so that neither
this nor what walks the tree later can run out of stack.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final

from edge_agent.expression import mistakes as m
from edge_agent.expression.mistakes import Mistakes
from edge_agent.expression.nodes import (
    Binary,
    Call,
    Name,
    Node,
    Number,
    Truth,
    Unary,
    Wrong,
    depth,
)
from edge_agent.expression.tokens import Sort, Token, tokens
from edge_agent.settings import Text

MAX_LENGTH: Final = 2000
MAX_DEPTH: Final = 40  # of the tree
MAX_NESTING: Final = 32  # of brackets and signs: each costs the stack fourteen frames

_COMPARE: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
_WORDS: Final = frozenset({"and", "or", "not"})
_GLUED: Final = frozenset({"%", "‰", "°C", "°F", "℃"})
_VALUE: Final = Text("a value", "数值或点")
_THE_END: Final = Text("the end", "结尾")


def parse(text: str, known: Container[str], found: Mistakes) -> Node:
    """The tree; worth something only if ``found`` stays empty. ``known``: names of tags, as they may be
    written."""
    if not text.strip():
        found.add(m.EMPTY, 0, 1)
        return Wrong(0, 1)
    if len(text) > MAX_LENGTH:
        found.add(m.TOO_LONG, MAX_LENGTH, len(text), found=len(text), limit=MAX_LENGTH)
        return Wrong(0, len(text))
    return _Parser(tokens(text, known, found), known, found).whole()


class _Parser:
    def __init__(self, read: list[Token], known: Container[str], found: Mistakes) -> None:
        self.tokens = read
        self.known = known
        self.mistakes = found
        self.at = 0
        self.nesting = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def whole(self) -> Node:
        node = self._or()
        while self.token.sort is not Sort.END:
            stray = self.token
            if stray.text == ")":
                self.mistakes.add(m.UNEXPECTED, stray.start, stray.end, found="')'")
                self.at += 1
            elif stray.text == ",":
                self.mistakes.add(m.UNEXPECTED, stray.start, stray.end, found="','")
                self.at += 1
            else:
                self._pass_over()
        return node

    # --- what binds loosest comes first ------------------------------------------------------------------

    def _or(self) -> Node:
        return self._chain(self._and, frozenset({"or"}))

    def _and(self) -> Node:
        return self._chain(self._not, frozenset({"and"}))

    def _not(self) -> Node:
        token = self.token
        if token.sort is Sort.NAME and token.text == "not" and "not" not in self.known:
            if self._deeper(token):
                return self._give_up()
            self.at += 1
            arg = self._not()
            self.nesting -= 1
            return self._kept(Unary(token.start, arg.end, "not", arg, depth(arg) + 1))
        return self._comparison()

    def _comparison(self) -> Node:
        left = before = self._sum()
        compared = False
        while self.token.sort is Sort.SIGN and self.token.text in _COMPARE:
            sign = self.token
            self.at += 1
            right = self._sum()
            if compared:  # read as it was meant, so that what else is wrong is found too
                self.mistakes.add(m.CHAINED, sign.start, sign.end)
                left = self._pair("and", left, self._pair(sign.text, before, right))
            else:
                left = self._pair(sign.text, left, right)
            before, compared = right, True
        return left

    def _sum(self) -> Node:
        return self._chain(self._product, frozenset({"+", "-"}))

    def _product(self) -> Node:
        return self._chain(self._signed, frozenset({"*", "/"}))

    def _signed(self) -> Node:
        token = self.token
        if token.sort is not Sort.SIGN or token.text not in ("-", "+"):
            return self._power()
        if self._deeper(token):
            return self._give_up()
        self.at += 1
        arg = self._signed()
        self.nesting -= 1
        if token.text == "+":
            return arg
        if isinstance(arg, Number):
            return Number(token.start, arg.end, -arg.value, arg.unit)
        return self._kept(Unary(token.start, arg.end, "-", arg, depth(arg) + 1))

    def _power(self) -> Node:
        base = self._atom()
        if self.token.sort is Sort.SIGN and self.token.text == "**":
            if self._deeper(self.token):
                return self._give_up()
            self.at += 1
            exponent = self._signed()
            self.nesting -= 1
            return self._pair("**", base, exponent)
        return base

    def _chain(self, part: Callable[[], Node], signs: frozenset[str]) -> Node:
        left = part()
        while self.token.text in signs and self.token.sort in (Sort.SIGN, Sort.NAME):
            sign = self.token.text
            self.at += 1
            left = self._pair(sign, left, part())
        return left

    def _pair(self, op: str, left: Node, right: Node) -> Node:
        level = max(depth(left), depth(right)) + 1
        return self._kept(Binary(left.start, right.end, op, left, right, level))

    # --- atoms -------------------------------------------------------------------------------------------

    def _atom(self) -> Node:
        token = self.token
        if token.sort is Sort.NUMBER:
            return self._number(token)
        if token.sort is Sort.NAME and (token.text not in _WORDS or token.text in self.known):
            self.at += 1
            if self.token.text == "(" and self.token.sort is Sort.SIGN:
                return self._call(token)
            if token.text in ("true", "false") and token.text not in self.known:
                return Truth(token.start, token.end, token.text == "true")
            return Name(token.start, token.end, token.text)
        if token.sort is Sort.SIGN and token.text == "(":
            return self._bracketed(token)
        self._missing(_VALUE)
        if token.sort is Sort.SIGN and token.text not in (")", ","):
            self.at += 1  # one operator too many: go on behind it
            return self._atom() if self.token.sort is not Sort.END else Wrong(token.start, token.end)
        if token.sort is Sort.UNIT:
            self.at += 1
        return Wrong(token.start, token.end)

    def _number(self, token: Token) -> Node:
        self.at += 1
        value = float(token.text) if set(token.text) & set(".eE") else int(token.text)
        after = self.token
        glued = (
            after.sort is Sort.NAME
            and after.text not in _WORDS
            and (after.start == token.end or after.text not in self.known)
        )
        if glued and self.tokens[self.at + 1].text == "(":
            glued = False
        if glued or after.sort is Sort.UNIT or (after.sort is Sort.SIGN and after.text in _GLUED):
            self.at += 1
            return Number(token.start, after.end, value, after.text)
        return Number(token.start, token.end, value)

    def _bracketed(self, opening: Token) -> Node:
        if self._deeper(opening):
            return self._give_up()
        self.at += 1
        node = self._or()
        self.nesting -= 1
        self._close(opening)
        return node

    def _call(self, name: Token) -> Node:
        opening = self.token
        if self._deeper(opening):
            return self._give_up()
        self.at += 1
        args: list[Node] = []
        if self.token.text != ")":
            args.append(self._argument())
            while self.token.text == "," and self.token.sort is Sort.SIGN:
                self.at += 1
                args.append(self._argument())
        self.nesting -= 1
        end = self._close(opening)
        level = max(map(depth, args), default=0) + 1
        return self._kept(Call(name.start, end, name.text, tuple(args), level))

    def _argument(self) -> Node:
        """One argument; what follows it wrongly is reported and passed over up to the next ',' or ')'."""
        node = self._or()
        while self.token.sort is not Sort.END and self.token.text not in (",", ")"):
            self._pass_over()
        return node

    def _close(self, opening: Token) -> int:
        while self.token.sort is not Sort.END and self.token.text not in (")", ","):
            self._pass_over()
        if self.token.text == ")" and self.token.sort is Sort.SIGN:
            self.at += 1
            return self.tokens[self.at - 1].end
        self.mistakes.add(m.UNCLOSED, opening.start, opening.end, found="(", wanted=")")
        return self.token.start

    # --- mistakes ----------------------------------------------------------------------------------------

    def _missing(self, wanted: Text) -> None:
        token = self.token
        shown: object = f"'{token.text}'" if token.sort is not Sort.END else _THE_END
        self.mistakes.add(m.EXPECTED, token.start, token.end, wanted=wanted, found=shown)

    def _pass_over(self) -> None:
        """Reports the token and reads on for the sake of further mistakes; always gets further."""
        token, before = self.token, self.at
        self.mistakes.add(m.UNEXPECTED, token.start, token.end, found=f"'{token.text}'")
        if token.sort is Sort.UNIT or (token.sort is Sort.SIGN and token.text not in ("(", "-", "+")):
            self.at += 1
        self._or()
        if self.at == before:
            self.at += 1

    def _kept(self, node: Node) -> Node:
        if depth(node) <= MAX_DEPTH:
            return node
        self.mistakes.add(m.TOO_DEEP, node.start, node.end, limit=MAX_DEPTH)
        return Wrong(node.start, node.end)

    def _deeper(self, token: Token) -> bool:
        """Counts one level more (the caller takes it back); True where that is too deep, and not counted."""
        if self.nesting >= MAX_NESTING:
            self.mistakes.add(m.TOO_DEEP, token.start, token.end, limit=MAX_NESTING)
            return True
        self.nesting += 1
        return False

    def _give_up(self) -> Node:
        """Too deep: the rest is not read."""
        token = self.token
        self.at = len(self.tokens) - 1
        return Wrong(token.start, token.end)
