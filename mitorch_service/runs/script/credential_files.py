"""Recognises files that hold credentials: they are never packed as a script's code, whatever the ignore files say."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.runs.script.ignore_patterns import IgnorePatterns

# In the syntax of .gitignore, matched without regard to case.
CREDENTIAL_PATTERNS = (
    *("credentials", "!credentials/"),  # a file, but no package of that name
    *(".env", ".env.*", "*.env", ".envrc", "!.env.example", "!.env.sample", "!.env.template", "!.env.dist"),
    *(
        ".aws/",
        ".azure/",
        ".gcloud/",
        "**/.config/gcloud/",
        ".oci/",
        ".kube/",
        ".docker/",
        ".dockercfg",
        ".terraform.d/",
    ),
    *(".ssh/", ".gnupg/", ".password-store/", ".huggingface/", ".kaggle/", "kaggle.json", ".mitorch/", "mitorch.db*"),
    *(".netrc", "_netrc", ".pgpass", ".my.cnf", ".mylogin.cnf", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd"),
    *(".boto", ".s3cfg", ".databrickscfg", ".vault-token", ".vault_pass", "local.settings.json"),
    *("credentials.json", "credentials.csv", "credentials.y*ml", "credentials.toml", "credentials.ini"),
    *("kubeconfig", "*.kubeconfig", "application_default_credentials.json"),
    *("client_secret*.json", "service_account*.json"),
    *("service-account*.json", "secrets.json", "secrets.y*ml", "secrets.toml", "secrets.ini", "*.tfvars", "*.tfstate*"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "!*.pub"),
    *("*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx"),
)
_PATTERNS = IgnorePatterns("\n".join(CREDENTIAL_PATTERNS).encode())
_CERTIFICATES = (".pem", ".crt", ".cer")  # may hold a key behind a certificate or other text
_LONGEST_KEY = 1 << 16  # bytes
_HEAD = 64  # bytes
_PRIVATE_KEY = b"PRIVATE KEY-----"


def is_credential_name(name: str, is_folder: bool = False) -> bool:
    """Whether files of this relative path hold credentials as a rule."""
    parts = name.lower().split("/")
    above = ("/".join(parts[:length]) for length in range(1, len(parts)))
    return any(_PATTERNS.decide(folder, True) for folder in above) or bool(_PATTERNS.decide(name.lower(), is_folder))


def holds_private_key(path: Path, size: int) -> bool:
    """Whether the file, of `size` bytes, is a private key by its contents. Raises OSError."""
    if size > _LONGEST_KEY:
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD).lstrip()
        if head.startswith(b"PuTTY-User-Key-File"):
            return True
        suffix = path.suffix.lower()
        if not head.startswith(b"-----BEGIN ") and suffix not in (*_CERTIFICATES, ".json"):
            return False
        whole = head + file.read()
    return _PRIVATE_KEY in whole and (suffix != ".json" or b'"private_key"' in whole)
