"""``completion``: the script that lets a shell ask us what may follow the words that were typed.

The scripts only pass words on and show the answer; ``cli/completion`` knows what may follow.
"""

from batchpoint.cli.call import Call
from batchpoint.cli.completion import ASK, FILES
from batchpoint.cli.grammar import PROGRAM, Command

_BASH = f"""\
_{PROGRAM}() {{
    local program="$1" line answer=()
    type -P "$program" > /dev/null || program={PROGRAM}
    COMPREPLY=()
    while IFS= read -r line; do
        answer+=("$line")
    done < <("$program" {ASK} bash "${{COMP_LINE:0:COMP_POINT}}" "$COMP_WORDBREAKS" 2> /dev/null)
    if [ "${{answer[0]}}" = {FILES} ]; then
        compopt -o default 2> /dev/null
    else
        COMPREPLY=("${{answer[@]}}")
    fi
}}
complete -F _{PROGRAM} {PROGRAM}
"""

_ZSH = f"""\
#compdef {PROGRAM}
_{PROGRAM}() {{
    local program="$words[1]" answer=() described=() line
    whence -p "$program" > /dev/null || program={PROGRAM}
    answer=("${{(@f)$("$program" {ASK} words "${{(@)words[2,CURRENT]}}" 2> /dev/null)}}")
    if [[ "$answer[1]" == {FILES} ]]; then
        _files
        return
    fi
    for line in $answer; do
        described+=("${{${{line%%$'\\t'*}}//:/\\\\:}}:${{line#*$'\\t'}}")
    done
    _describe {PROGRAM} described
}}
if [[ "$funcstack[1]" == _{PROGRAM} ]]; then
    _{PROGRAM} "$@"
else
    compdef _{PROGRAM} {PROGRAM}
fi
"""

_FISH = f"""\
function __{PROGRAM}_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    type -q -f "$program"; or set program {PROGRAM}
    set -l current (commandline -ct)
    set -l answer ($program {ASK} words $words "$current" 2> /dev/null)
    if test "$answer[1]" = {FILES}
        __fish_complete_path "$current"
    else
        printf '%s\\n' $answer
    end
end
complete -c {PROGRAM} -f -a '(__{PROGRAM}_complete)'
"""


def bash(call: Call) -> None:
    print(_BASH, end="")


def zsh(call: Call) -> None:
    print(_ZSH, end="")


def fish(call: Call) -> None:
    print(_FISH, end="")


_WHAT = "Print the script for {name}: words, flags, choices, and names from the home. To turn it on, {how}."

COMMANDS = (
    Command(
        "completion bash",
        _WHAT.format(name="bash", how=f'add to ~/.bashrc: eval "$({PROGRAM} completion bash)"'),
        bash,
        example="completion bash",
    ),
    Command(
        "completion zsh",
        _WHAT.format(name="zsh", how=f'add to ~/.zshrc, below compinit: eval "$({PROGRAM} completion zsh)"'),
        zsh,
        example="completion zsh",
    ),
    Command(
        "completion fish",
        _WHAT.format(name="fish", how=f"add to ~/.config/fish/config.fish: {PROGRAM} completion fish | source"),
        fish,
        example="completion fish",
    ),
)
