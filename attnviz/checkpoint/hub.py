"""Find a model in the Hugging Face cache, or download it from the Hub."""

from __future__ import annotations

from pathlib import Path

from attnviz.errors import ModelError

DEFAULT_ID = "sentence-transformers/all-MiniLM-L6-v2"
SAFETENSORS = "model*.safetensors"
PICKLES = "pytorch_model*.bin"
_PARTS = ["*.json", "*.safetensors", "*.txt", "*.model"]
_TEMPLATES = "*.jinja"  # downloaded too, but a snapshot is complete without them


def snapshot(repo: str, revision: str | None, file: str | None = None) -> Path:
    """Return the folder of ``repo`` at ``revision``, with its top-level files; pickles only if it has no other weights.

    Args:
        repo: the Hub id.
        revision: a branch, tag or commit; None for the newest.
        file: if given, only this file is fetched, such as one of many GGUF files.

    Raises:
        ModelError: there is no such model, or it is not cached and can't be downloaded; the hint says how to get it.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    for name in (repo, revision, file):
        if name and ("\0" in name or any("\ud800" <= character <= "\udfff" for character in name)):
            # A surrogate stands for a byte of the command line that is not UTF-8.
            raise ModelError(f"{name!r} can't be a name on the Hub: it is not UTF-8")
    asked = f"{repo} at revision {revision}" if revision else repo
    try:
        return _snapshot_of(repo, revision, file) if file else _cached(repo, revision) or _fetched(repo, revision)
    except GatedRepoError:
        hint = "Ask for access on its page, then run: hf auth login"
        raise ModelError(f"{asked} is gated: the Hub gives it to approved users only", hint=hint) from None
    except RevisionNotFoundError:
        raise ModelError(f"{repo} has no revision {revision}", hint="Leave `revision` out for the newest.") from None
    except RepositoryNotFoundError:
        raise ModelError(f"the Hub has no model {repo}, and there is no such folder") from None
    except HFValidationError:
        raise ModelError(f"{repo!r} is neither a folder nor a Hub id (such as {DEFAULT_ID})") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{asked} is not in the Hub cache, and the Hub can't be reached ({type(error).__name__})",
            hint=_how_to_fetch(repo, revision),
        ) from error


def _snapshot_of(repo: str, revision: str | None, file: str) -> Path:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _download(repo, revision, [file], offline=True)
        if (folder / file).is_file():
            return folder
    except LocalEntryNotFoundError:
        pass
    return _download(repo, revision, [file], offline=False)


def has_weights(folder: Path) -> bool:
    """Whether ``folder`` has weights, in safetensors or pickles."""
    return any(any(folder.glob(pattern)) for pattern in (SAFETENSORS, PICKLES))


def _cached(repo: str, revision: str | None) -> Path | None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    # With pickles among the patterns, a snapshot that lacks a shard does not count as cached.
    for patterns, weights in ((_PARTS, SAFETENSORS), ([*_PARTS, PICKLES], PICKLES)):
        try:
            folder = _download(repo, revision, patterns, offline=True)
        except LocalEntryNotFoundError:
            continue
        if any(folder.glob(weights)) and (folder / "config.json").is_file():
            return folder
        if any(folder.glob("adapter_model*.safetensors")):
            return folder
    return None


def _fetched(repo: str, revision: str | None) -> Path:
    parts = [*_PARTS, _TEMPLATES]
    folder = _download(repo, revision, parts, offline=False)
    if any(folder.glob(SAFETENSORS)):
        return folder
    return _download(repo, revision, [*parts, PICKLES], offline=False)


def _download(repo: str, revision: str | None, patterns: list[str], *, offline: bool) -> Path:
    import huggingface_hub

    return Path(
        huggingface_hub.snapshot_download(
            repo, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"], local_files_only=offline
        )
    )


def _how_to_fetch(repo: str, revision: str | None) -> str:
    fetch = f"Fetch it while online: hf download {repo}" + (f" --revision {revision}" if revision else "")
    if repo == DEFAULT_ID:
        fetch += "\nOr install it with attnviz: python -m pip install 'attnviz[offline]'"
    return fetch
