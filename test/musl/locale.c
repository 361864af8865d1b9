// Debian's libstdc++ reads the tables of <ctype.h> out of glibc's locale_t, where they are at 0x68: an object that has
// musl's members in front and those there. It has to be found before musl's own.
#define _GNU_SOURCE
#include <ctype.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>

const unsigned short** __ctype_b_loc(void);
const int32_t** __ctype_tolower_loc(void);
const int32_t** __ctype_toupper_loc(void);

static struct {
  union {
    void* of_musl[6];
    char room[0x68];
  };
  const void *classes, *lower, *upper;
  const char* names[13];
} both;

locale_t __newlocale(int mask, const char* name, locale_t base) {
  memcpy(both.of_musl, newlocale(mask, "C", NULL), sizeof(both.of_musl));
  both.classes = *__ctype_b_loc();
  both.lower = *__ctype_tolower_loc();
  both.upper = *__ctype_toupper_loc();
  for (int i = 0; i < 13; i++) both.names[i] = "C";
  return (locale_t)&both;
}
locale_t __duplocale(locale_t locale) { return locale; }
void __freelocale(locale_t locale) {}
