# Prints the targets of a Makefile in groups: `##@ group`, `target: ## what it does`, `#: variable`.
BEGIN { print "Tetra, a kernel for the Raspberry Pi 4. Usage: make TARGET [VARIABLE=value]" }
/^##@ / { printf "\n%s\n", substr($0, 5) }
/^#: / { printf "  %s\n", substr($0, 4) }
/^[a-z-]+:.*## / && !/^help:/ {
    target = $0; sub(/:.*/, "", target)
    text = $0; sub(/.*## /, "", text)
    printf "  %-12s %s\n", target, text
}
