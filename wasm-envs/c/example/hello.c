/*
 * A CGI program (RFC 3875): the request is in the environment and on stdin, the answer goes to stdout.
 * GET says what was asked; POST counts the lines, words and bytes of the body, like wc.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

/* Whatever a client may send is printed as plain text only, so nothing needs to be escaped. */
static int describe(void) {
  fputs("Content-Type: text/plain; charset=utf-8\r\n\r\n", stdout);
  printf("%s %s\n", variable("REQUEST_METHOD"), variable("PATH_INFO"));
  printf("query: %s\n", variable("QUERY_STRING"));
  printf("user agent: %s\n", variable("HTTP_USER_AGENT"));
  return 0;
}

static int count(void) {
  unsigned long lines = 0, words = 0, bytes = 0;
  int in_word = 0;
  char chunk[16384];
  size_t length;
  while ((length = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
    bytes += length;
    for (size_t i = 0; i < length; i++) {
      lines += chunk[i] == '\n';
      int is_space = isspace((unsigned char)chunk[i]);
      words += !is_space && !in_word;
      in_word = !is_space;
    }
  }
  if (ferror(stdin)) {
    fputs("the body could not be read\n", stderr);
    return 1;
  }
  fprintf(stderr, "counted %lu bytes\n", bytes);
  fputs("Content-Type: application/json\r\n\r\n", stdout);
  printf("{\"lines\":%lu,\"words\":%lu,\"bytes\":%lu}\n", lines, words, bytes);
  return 0;
}

int main(void) {
  const char *method = variable("REQUEST_METHOD");
  if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) return describe();
  if (strcmp(method, "POST") == 0) return count();
  fputs("Status: 405 Method Not Allowed\r\nAllow: GET, HEAD, POST\r\nContent-Type: text/plain\r\n\r\n", stdout);
  fputs("Only GET and POST are answered.\n", stdout);
  return 0;
}
