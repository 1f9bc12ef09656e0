"""Which file the samples' store has, and what that file says beside its segments. Whoever writes or sends
asks first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from edge_agent.buffer.reader import Reader
from edge_agent.buffer.reselect import reselect
from edge_agent.buffer.salvage import NOTE as SALVAGE
from edge_agent.buffer.salvage import Claim, Page, Salvage, load_claims, to_note
from edge_agent.buffer.stamps import Stamps, load_offsets
from edge_agent.buffer.vault import Vault
from edge_agent.config.selection import Selection
from edge_agent.errors import StorageError


class Opening:
    """What stamps mean (``Stamps``), what is claimed of files set aside (``Salvage``), who selects what.

    ``another`` is called when the vault has another file than before: nothing remembered of the old one
    holds. ``selected_anew``: when uplinks may select other units than before."""

    def __init__(
        self,
        vault: Vault,
        reader: Reader,
        stamps: Stamps,
        salvage: Salvage,
        *,
        another: Callable[[], None],
        selected_anew: Callable[[], None],
    ) -> None:
        self._vault = vault
        self._reader = reader
        self._stamps = stamps
        self._salvage = salvage
        self._another = another
        self._selected_anew = selected_anew
        self._generation = 0
        self._known = 0  # the generation of the file whose notes were read
        self._trimmed = False
        self._chosen = False

    @property
    def may_send(self) -> bool:
        """Whether it is known what stamps of this file mean, and none waits for its clock."""
        return self._known == self._vault.generation and not self._stamps.holding

    def want(self, uplinks: Mapping[str, Selection] | Iterable[str]) -> None:
        """These, from the next ``ready`` on."""
        names = list(uplinks)
        self._vault.want(names)
        self._vault.accounts.choices.use(uplinks if isinstance(uplinks, Mapping) else names)
        self._chosen = False

    async def ready(self) -> bool:
        """Whether the file can be written, and all is known of it. What lies beside the segments may be what
        shows that it is broken: then on to another one."""
        return await self._ready() or (self._vault.broken and await self._ready())

    async def _ready(self) -> bool:
        vault = self._vault
        if vault.read_only:
            await self._reader.release()  # opened on it meanwhile, it keeps this process from ever writing
        ready = await vault.ready()
        if vault.generation != self._generation:
            self._generation = vault.generation
            self._chosen = False
            self._another()
        if not ready:
            return False
        try:
            await self._learn()
        except StorageError as error:
            vault.reason = str(error)  # until a commit holds
            return False
        return True

    async def _learn(self) -> None:
        vault = self._vault
        if self._known != vault.generation:
            generation, offsets = vault.generation, await vault.ask(load_offsets)
            claims = vault.claims or await vault.ask(load_claims)
            self._stamps.load(offsets, vault.epoch)
            self._claim(claims)
            self._known, self._trimmed = generation, False
        if self._salvage.narrow(vault.accounts.uplinks):
            vault.note(SALVAGE, to_note(self._salvage.claims))
            self._trimmed = False
        if not self._trimmed:
            self._trimmed = True
            await vault.trim_aside({claim.file for claim in self._salvage.claims})
        if not self._chosen:
            await reselect(vault)
            self._selected_anew()
            self._chosen = True

    def _claim(self, claims: Iterable[Claim]) -> None:
        self._salvage.forget_page()
        self._salvage.add(claims)
        self._vault.claims = []
        if self._salvage.claims:
            self._vault.note(SALVAGE, to_note(self._salvage.claims))

    def put_back(self, page: Page | None) -> None:
        """Units of a database that was set aside are in this one now; what is left of it is read on."""
        if page is not None and (note := self._salvage.stored(page)) is not None:
            claim, accounts = page.claim, self._vault.accounts
            accounts.choices.learn(page.schemas)
            left_out = {n: accounts.choices.unwanted_by(text) for n, text in claim.selected.items()}
            for saved in page.rows:
                wanting = [n for n in accounts.uplinks if claim.wants(n, saved.unit.seq)]
                names = [n for n in wanting if saved.unit.schema not in left_out.get(n, ())]
                accounts.put_back(saved.unit, names, exact=claim.exact)
            self._vault.note(SALVAGE, note)
            self._trimmed = bool(self._salvage.claims)
        self._salvage.read_on()
