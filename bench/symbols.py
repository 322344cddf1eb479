"""What the hot functions call: a disassembly of the release binary must show no reference counting, no
allocation and no indirect call (a witness, an existential or a closure) in any function of the request path.

    python3 bench/symbols.py BINARY     prints what is wrong, if anything, and exits 1
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Functions on the path of a request, of its body, of its copies and of its records: room, type, names. One
# that the optimiser has inlined everywhere is not in the binary, and its code is checked where it went.
HOT = {
    ("Proxy", "C", "Core"): """
        turn dispatch readClock resume resumeAll resumeNow expireDue expire readSize starve
        downstreamReady readDownstream readClientSlice downstreamRead takeHead begin notePath openRateWindow
        sendDownstream flushDownstream downstreamFlushed armDownstream stallLimit keepInput holdInput
        startEvidence beginEvidence refillRetries
        place enter leave pickEndpoint isUsable judge takeIdle enlist delist keepIdle open
        takePlace freePlace answerCall joinLine leaveLine callNext callFirst redispatch publishFirst
        composeRequest writeRequest writeRequestFields writeAddress writeID writeStamp writeForwardedFor
        relayRequest relayChunks emit record keepRest mayBeSentAgain sendUpstream holdUpstream bytesSent
        flushUpstream requestComplete requestSent armUpstream
        upstreamReady readUpstream readServerSlice upstreamRead takeResponse beginResponse decideFraming
        composeResponse relayResponse relayResponseChunks writeChunk writeTrailers forward responseComplete
        endUntilClose releaseUpstream switchProtocols relayToUpstream relayToDownstream
        spliceRequest spliceResponse fillPipe drain drainToClient drainToServer takePipe keepPipe
        startShadow tee teeComplete openShadow shadowRead discard discardChunks settleShadow freeShadow
        startPair settlePrimary settleCopy giveUpCopy void awaitCopyWrite endCopyWait
        drawTap startTap openTap fill append tapRequest tapResponse tapResponseHead endTap describe
        settle settleEvidence badEvents knownEvents rareEvents awaitWrite endWait
        finish end measure log accessRecord
    """,
    ("Proxy", "V", "AssignTable"): "route assign caller draw keyHash rendezvous gather firstCohort",
    ("Proxy", "V", "KeyTable"): "note",
    ("Proxy", "V", "PlaceBoard"): "take move enqueue moveWaiting publish oldest",
    ("Proxy", "V", "ResumeLine"): "append popFirst",
    ("Proxy", "V", "TapRing"): "record region offer reclaim",
    ("Proxy", "V", "AccessRing"): "offer",
    ("Wire", "V", "HeadParser"): "request response trailers fieldLines",
    ("Wire", "V", "ChunkedDecoder"): "next line",
    ("Wire", "V", "HeadWriter"): "append appendDecimal appendChunkHeader appendLastChunk",
    ("Metrics", "V", "Histogram"): "record",
    ("Metrics", "V", "KeySketch"): "add",
    ("Metrics", "V", "EvidenceRing"): """
        start settle begin endBegun wait endWait startCopied settleCopied waitCopied endWaitCopied keyEvents
        open count speed word
    """,
    ("Platform", "V", "ByteQueue"): "append clear copyOut consume front send",
    ("Platform", "V", "TimerWheel"): "schedule advance popExpired cancel",
    ("Platform", "V", "Descriptor"): "receive send",
}
# A function that takes a plan over counts references: what the check must find, or it is blind.
SAMPLE = ("Proxy", "C", "Core", "takeCommands")
# As many as are in the binary today, and some left over for what the optimiser inlines tomorrow.
SEEN_MIN = 100
FORBIDDEN = re.compile(
    r"swift_(retain|release|alloc|bridgeObject|initStack|project|dynamicCast|getGeneric|getTypeBy|once)"
    r"|\bmalloc|\bcalloc|\brealloc|posix_memalign"
)
CALL = re.compile(r"\b(call|jmp)q?\s+(?:[0-9a-f]+ <([^>+]+)[^>]*>|(\*\S+))")


def words(name: str) -> list:
    return re.findall(r"[A-Z]?[^A-Z]+|[A-Z]+(?![a-z])", name)


def identifier(name: str, before: list) -> str:
    """A name as Swift mangles it: words that were there before are letters, all others as they are."""
    if not any(word in before for word in words(name)):
        return f"{len(name)}{name}"
    out, literal, isReplaced = "0", "", False
    for word in words(name):
        if word in before:
            out += f"{len(literal)}{literal}" if literal else ""
            if isReplaced and not literal:
                out = out[:-1] + out[-1].lower()
            out += chr(ord("A") + before.index(word))
            literal, isReplaced = "", True
        else:
            literal += word
    return out + (f"{len(literal)}{literal}" if literal else "0")


def symbol(room: str, kind: str, owner: str, name: str) -> str:
    """The beginning of the symbols of a method."""
    before = words(room)
    mangled = f"$s{len(room)}{room}{identifier(owner, before)}{kind}"
    return mangled + identifier(name, before + [word for word in words(owner) if word not in before])


def listed() -> list:
    return [(*owner, name) for owner, names in HOT.items() for name in names.split()]


def missing() -> list:
    """The listed functions that no source file of their type declares: a rename would narrow the check."""
    wrong = []
    for (room, _, owner), names in HOT.items():
        files = [path.read_text() for path in (ROOT / "Sources" / room).rglob("*.swift")]
        declares = re.compile(rf"^\s*(@\S+\s+|public |final )*(extension|struct|class) {owner}\b", re.M)
        text = "\n".join(file for file in files if declares.search(file))
        for name in names.split():
            if not re.search(rf"\bfunc {name}\b", text):
                wrong.append(f"{owner}.{name} is listed, but no file of Sources/{room} declares it")
    return wrong


def offences(binary: str, symbols: list) -> tuple:
    """How many functions match, and the forbidden calls of each that has some."""
    wanted = re.compile("|".join(re.escape(one) + r"(?!\d)" for one in symbols))
    listing = subprocess.Popen(
        ["objdump", "--disassemble", "--no-show-raw-insn", binary], stdout=subprocess.PIPE, text=True
    )
    seen, found, current = 0, {}, None
    for line in listing.stdout:
        if line.endswith(">:\n"):
            name = line[line.index("<") + 1 : -3]
            current = name if wanted.match(name) else None
            seen += current is not None
        elif current:
            match = CALL.search(line)
            if not match:
                continue
            # An indirect jump is a switch; an indirect call is somebody's witness.
            target = match[2] or (match[3] if match[1] == "call" else "")
            if match[3] and match[1] == "call" or FORBIDDEN.search(target):
                found.setdefault(current, []).append(target)
    if listing.wait():
        raise RuntimeError("objdump failed")
    return seen, found


def check(binary: str) -> list:
    """What is wrong, a line each; empty when nothing is."""
    sample = symbol(*SAMPLE)
    seen, found = offences(binary, [symbol(*one) for one in listed()] + [sample])
    guilty = {name for name in found if name.startswith(sample)}
    wrong = [f"{name} calls {', '.join(sorted(set(found[name])))}" for name in found if name not in guilty]
    if not guilty:
        wrong.append("the check found nothing in the sample that counts references: it is blind")
    if seen < SEEN_MIN:
        wrong.append(f"only {seen} of the hot functions are in the binary: their names have changed")
    return missing() + wrong


if __name__ == "__main__":
    lines = check(sys.argv[1])
    print("\n".join(lines) or "no offence")
    sys.exit(bool(lines))
