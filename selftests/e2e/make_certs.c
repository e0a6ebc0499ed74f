// SPDX-License-Identifier: GPL-2.0
/*
 * Makes certificates for TLS in a directory: ca.pem, cert.pem and key.pem for ADDRESS; other.pem and other-key.pem
 * for another name; revoked.pem and revoked-key.pem, which crl.pem revokes; alien.pem and alien-key.pem of
 * another authority; expired.pem and expired-key.pem.
 * Usage: make_certs DIR [ADDRESS]: another one than 127.0.0.1
 */
#include "tests/certificates.h"

int main(int argc, char **argv)
{
	int dir_fd = argc > 1 ? open(argv[1], O_DIRECTORY | O_CLOEXEC) : -1;
	const char *address = argc > 2 ? argv[2] : "127.0.0.1";
	struct authority ca, stranger;

	cert_need(dir_fd >= 0, "open the directory");
	ca = authority_make(dir_fd, "ca.pem");
	stranger = authority_make(dir_fd, "stranger.pem");
	authority_sign(&ca, dir_fd, "cert.pem", "key.pem", address, 2, 0);
	authority_sign(&ca, dir_fd, "other.pem", "other-key.pem", "other.example", 3, 0);
	authority_sign(&ca, dir_fd, "revoked.pem", "revoked-key.pem", address, 5, 0);
	authority_sign(&stranger, dir_fd, "alien.pem", "alien-key.pem", address, 4, 0);
	authority_sign(&ca, dir_fd, "expired.pem", "expired-key.pem", address, 6, 2 * CERT_YEAR);
	authority_revoke(&ca, dir_fd, "crl.pem", 5);
	return 0;
}
