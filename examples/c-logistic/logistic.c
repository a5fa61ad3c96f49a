/* Logistic regression in plain C: is a penguin male, by its bill, flippers and weight?
 *
 * All that this program knows of Stint is files and environment variables, used by hand: it
 * reads /in/penguins.csv, says how far it is in the file that STINT_EVENTS names, keeps its
 * state in the directory that STINT_CHECKPOINT names, and returns /out/result.json. Natively it
 * runs too: cc -O2 logistic.c -lm && STINT_IN=../data STINT_OUT=. ./a.out 2000
 *
 * logistic STEPS [LEAVE]: does STEPS steps. With LEAVE, an attempt gives up (with code 75) after
 * as many, for one to see that the next goes on from there.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FEATURES = 4, WEIGHTS = FEATURES + 1, ROWS_MAX = 1024, SAVE_EVERY = 100, TRY_AGAIN = 75 };
static const double RATE = 0.5;

struct state { /* what is saved */
  long step;
  double weight[WEIGHTS]; /* the last is the intercept */
};

static double x[ROWS_MAX][FEATURES];
static double y[ROWS_MAX];
static int rows;

static void fail(const char *what, const char *path) {
  fprintf(stderr, "logistic: cannot %s %s: %s\n", what, path, strerror(errno));
  exit(1);
}

/* DIRECTORY/NAME, the directory being what the variable says, or else `usual`. */
static const char *place(char *path, size_t size, const char *variable, const char *usual, const char *name) {
  const char *directory = getenv(variable);
  snprintf(path, size, "%s/%s", directory ? directory : usual, name);
  return path;
}

/* species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year */
static void read_table(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail("open", path);
  char line[256], sex[8];
  while (fgets(line, sizeof line, file) && rows < ROWS_MAX) {
    double *row = x[rows];
    /* The header, and lines with NA in them, have no numbers there. */
    if (sscanf(line, "%*[^,],%*[^,],%lf,%lf,%lf,%lf,%7[a-z],", &row[0], &row[1], &row[2], &row[3], sex) != 5) continue;
    y[rows++] = strcmp(sex, "male") == 0;
  }
  fclose(file);
  if (!rows) {
    fprintf(stderr, "logistic: there is no penguin in %s\n", path);
    exit(1);
  }
}

/* Every feature with mean 0 and deviation 1, so that one rate suits them all. */
static void standardise(void) {
  for (int f = 0; f < FEATURES; f++) {
    double sum = 0, squares = 0;
    for (int r = 0; r < rows; r++) sum += x[r][f];
    for (int r = 0; r < rows; r++) squares += pow(x[r][f] - sum / rows, 2);
    for (int r = 0; r < rows; r++) x[r][f] = (x[r][f] - sum / rows) / sqrt(squares / rows);
  }
}

static double predict(const struct state *state, int row) {
  double z = state->weight[FEATURES];
  for (int f = 0; f < FEATURES; f++) z += state->weight[f] * x[row][f];
  return 1 / (1 + exp(-z));
}

static void step(struct state *state) {
  double gradient[WEIGHTS] = {0};
  for (int r = 0; r < rows; r++) {
    double error = predict(state, r) - y[r];
    for (int f = 0; f < FEATURES; f++) gradient[f] += error * x[r][f];
    gradient[FEATURES] += error;
  }
  for (int w = 0; w < WEIGHTS; w++) state->weight[w] -= RATE * gradient[w] / rows;
  state->step++;
}

static double loss(const struct state *state) {
  double sum = 0;
  for (int r = 0; r < rows; r++) {
    double p = predict(state, r);
    sum -= y[r] * log(p) + (1 - y[r]) * log(1 - p);
  }
  return sum / rows;
}

/* A line of JSON each, in one write. Nothing here is worth a failure. */
static void say(long done, long steps, double loss) {
  const char *path = getenv("STINT_EVENTS");
  FILE *file = path ? fopen(path, "a") : NULL;
  if (!file) return;
  fprintf(file, "{\"progress\": %g, \"message\": \"step %ld of %ld\"}\n{\"metric\": \"loss\", \"value\": %g}\n",
          (double)done / steps, done, steps, loss);
  fclose(file);
}

/* Under another name first: whoever is killed here leaves the old state or the new one, whole. */
static void save(const struct state *state) {
  const char *directory = getenv("STINT_CHECKPOINT");
  if (!directory) return;
  char new[512], path[512];
  place(new, sizeof new, "STINT_CHECKPOINT", "", "state.new");
  place(path, sizeof path, "STINT_CHECKPOINT", "", "state");
  if (mkdir(directory, 0777) && errno != EEXIST) fail("make", directory);
  FILE *file = fopen(new, "wb");
  if (!file || fwrite(state, sizeof *state, 1, file) != 1 || fclose(file)) fail("write", new);
  if (rename(new, path)) fail("write", path);
}

static struct state load(void) {
  struct state state = {0};
  char path[512];
  FILE *file = getenv("STINT_CHECKPOINT") ? fopen(place(path, sizeof path, "STINT_CHECKPOINT", "", "state"), "rb") : NULL;
  if (file) {
    if (fread(&state, sizeof state, 1, file) != 1) fail("read", path);
    fclose(file);
  }
  return state;
}

static void result(const struct state *state) {
  int right = 0;
  for (int r = 0; r < rows; r++) right += (predict(state, r) > 0.5) == (y[r] > 0.5);
  const double *w = state->weight;
  char json[512], path[512];
  snprintf(json, sizeof json,
           "{\"penguins\": %d, \"steps\": %ld, \"loss\": %.6f, \"accuracy\": %.4f, \"weights\": "
           "{\"bill_length\": %.4f, \"bill_depth\": %.4f, \"flipper_length\": %.4f, \"body_mass\": %.4f}}",
           rows, state->step, loss(state), (double)right / rows, w[0], w[1], w[2], w[3]);
  FILE *file = fopen(place(path, sizeof path, "STINT_OUT", "/out", "result.json"), "w");
  if (!file || fputs(json, file) < 0 || fclose(file)) fail("write", path);
  puts(json);
}

int main(int argc, char **argv) {
  long steps = argc > 1 ? atol(argv[1]) : 0, leave = argc > 2 ? atol(argv[2]) : 0;
  if (steps <= 0) {
    fprintf(stderr, "usage: logistic STEPS [LEAVE]\n");
    return 2;
  }
  char path[512];
  read_table(place(path, sizeof path, "STINT_IN", "/in", "penguins.csv"));
  standardise();
  struct state state = load();
  long until = leave > 0 ? state.step + leave : steps;
  while (state.step < steps) {
    if (state.step == until) {
      fprintf(stderr, "logistic: leaving at step %ld\n", state.step);
      return TRY_AGAIN;
    }
    step(&state);
    if (state.step % SAVE_EVERY == 0) {
      save(&state);
      say(state.step, steps, loss(&state));
    }
  }
  result(&state);
  return 0;
}
