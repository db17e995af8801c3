"""For scripts written with `nipype.caching`: an interface's class as a callable with a memory.

Where a script says ``mem = Memory("work")`` and ``bet = mem.cache(fsl.BET)``, it can say
``bet = remember(fsl.BET, hash_output="work")``; ``bet(in_file=...).outputs.out_file`` stays.

Not promised: what `nipype.caching` records beside the outputs (the runtime of the first run).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import Bunch, Interface, InterfaceResult, traits

from memori.neuro.nipype.engine_api import outputs_of_kind
from memori.neuro.nipype.stage import NipypeStage
from memori.neuro.nipype.traits.parts import shaped

if TYPE_CHECKING:
    from memori.place import Where


class RememberedInterface:
    """An interface as a callable with a memory.

    Parameters
    ----------
    stage : NipypeStage
        What a call runs.

    Attributes
    ----------
    stage : NipypeStage
        To ask `stage.state` and `stage.explain(...)`.
    """

    def __init__(self, stage: NipypeStage) -> None:
        self.stage = stage
        self.__name__ = stage.stage_name
        self.__signature__ = stage.function.__signature__  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"<remembered {self.stage!r}>"

    def __call__(self, **inputs: Any) -> InterfaceResult:
        """Return what the interface's `run` returns, running it only if need be."""
        results = self.stage.run(**inputs)
        outputs = outputs_of_kind(self.stage.model)
        for name, value in results.items():
            trait = outputs.trait(name)
            if trait is None or name not in outputs.copyable_trait_names():
                outputs.add_trait(name, traits.Any)
                trait = outputs.trait(name)
            setattr(outputs, name, shaped(trait, value))
        runtime = Bunch(returncode=0, executed=self.stage.state)
        kind = self.stage.recipe.kind
        return InterfaceResult(kind, runtime, inputs=self.stage.input_args, outputs=outputs)


def remember(
    interface: type[Interface] | Interface,
    hash_output: Where = None,
    stage_name: str | None = None,
    **options: Any,
) -> RememberedInterface:
    """Return an interface as a callable with a memory.

    Parameters
    ----------
    interface : class or instance
        Such as ``fsl.BET``; an instance where the class needs arguments: ``Merge(2)``.
    hash_output : str or os.PathLike, or a list of them, optional
        The folder in which runs are remembered.
    stage_name : str, optional
        By default the name of the class.
    **options
        As for `NipypeStage`.

    Examples
    --------
    >>> from nipype.interfaces.utility import Select
    >>> select = remember(Select)
    >>> select(inlist=[10, 20, 30], index=1).outputs.out
    20
    """
    made = interface() if isinstance(interface, type) else interface
    return RememberedInterface(NipypeStage(made, hash_output, stage_name, **options))
