"""`memori completion`: what a shell needs to complete the commands and options of memori.

The script is made of the parser itself, so that it offers just what there is; nothing is started
when a key is pressed. Files are completed by the shell.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

_HOW = {
    "bash": "memori completion bash > ~/.local/share/bash-completion/completions/memori",
    "zsh": "memori completion zsh > a folder of $fpath/_memori",
    "fish": "memori completion fish > ~/.config/fish/completions/memori.fish",
}
_BASH = """\
_memori() {{
    local word command= place current=${{COMP_WORDS[COMP_CWORD]}}
    for ((place = 1; place < COMP_CWORD; place++)); do
        word=${{COMP_WORDS[place]}}
        if [[ $word != -* ]]; then command=$word; break; fi
    done
    COMPREPLY=()
    case $command in
        "") COMPREPLY=($(compgen -W "{commands}" -- "$current")) ;;
{cases}
    esac
}}
complete -o bashdefault -o default -F _memori memori"""
_BASH_CASE = """\
        {name}) [[ $current == -* ]] && COMPREPLY=($(compgen -W "{options}" -- "$current")) ;;"""
_BASH_WORDS = """\
        {name}) COMPREPLY=($(compgen -W "{options}" -- "$current")) ;;"""
_ZSH = """\
#compdef memori
_memori() {{
    local word command=
    for word in ${{words[2,CURRENT-1]}}; do
        if [[ $word != -* ]]; then command=$word; break; fi
    done
    if [[ -z $command ]]; then
        local -a commands=(
{commands}
        )
        _describe command commands
        return
    fi
    if [[ $words[CURRENT] == -* ]]; then
        case $command in
{cases}
        esac
        return
    fi
    {words}
    _files
}}
if [[ $funcstack[1] == _memori ]]; then _memori "$@"; else compdef _memori memori; fi"""


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    how = "\n".join(f"  {line}" for line in _HOW.values())
    parser = commands.add_parser(
        "completion",
        help="print what bash, zsh or fish needs to complete memori's words",
        description=f"Print what a shell needs to complete memori's words; once:\n{how}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=list(_HOW))
    parser.set_defaults(run=run, commands=commands.choices)


def run(arguments: argparse.Namespace) -> int:
    """Print the script and return 0."""
    known = {name: _options(parser) for name, parser in arguments.commands.items()}
    helps = _helps(arguments.commands)
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell]
    print(script(known, helps))
    return 0


def _options(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the options of a command, each with its help."""
    return {
        option: (action.help or "").replace("%%", "%").partition(" (default")[0]
        for action in parser._actions
        for option in action.option_strings
    }


def _helps(commands: dict[str, argparse.ArgumentParser]) -> dict[str, str]:
    first = ((name, (each.description or "").splitlines()[0]) for name, each in commands.items())
    return {name: text.partition(". ")[0].rstrip(".;:") for name, text in first}


def _bash(known: dict[str, dict[str, str]], helps: dict[str, str]) -> str:
    cases = [
        _BASH_CASE.format(name=name, options=" ".join(options)) for name, options in known.items()
    ]
    shells = _BASH_WORDS.format(name="completion", options=" ".join(_HOW))
    cases = [shells if "  completion)" in case else case for case in cases]
    return _BASH.format(commands=" ".join([*known, "--debug", "--version"]), cases="\n".join(cases))


def _zsh(known: dict[str, dict[str, str]], helps: dict[str, str]) -> str:
    commands = [f"            {_quoted(f'{name}:{helps[name]}')}" for name in known]
    cases = [f"            {n}) compadd -- {' '.join(options)} ;;" for n, options in known.items()]
    words = f"if [[ $command == completion ]]; then compadd -- {' '.join(_HOW)}; return; fi"
    return _ZSH.format(commands="\n".join(commands), cases="\n".join(cases), words=words)


def _fish(known: dict[str, dict[str, str]], helps: dict[str, str]) -> str:
    return "\n".join(_fish_lines(known, helps))


def _fish_lines(known: dict[str, dict[str, str]], helps: dict[str, str]) -> Iterator[str]:
    for name, options in known.items():
        yield f"complete -c memori -f -n __fish_use_subcommand -a {name} -d {_quoted(helps[name])}"
        for option, told in options.items():
            kind = "-l" if option.startswith("--") else "-s"
            when = _quoted(f"__fish_seen_subcommand_from {name}")
            yield f"complete -c memori -n {when} {kind} {option.lstrip('-')} -d {_quoted(told)}"
    when = _quoted("__fish_seen_subcommand_from completion")
    yield f"complete -c memori -f -n {when} -a {_quoted(' '.join(_HOW))}"


def _quoted(text: str) -> str:
    """Return a text as one word of any shell, without what they quote in their own ways."""
    return f"'{''.join(each for each in text if each not in chr(39) + chr(92))}'"
