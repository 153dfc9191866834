/** Lint rules that no published plugin has. */
export default {
  meta: { name: 'fissium' },
  rules: {
    'disable-needs-reason': {
      create: (context) => ({
        Program() {
          for (const comment of context.sourceCode.getAllComments()) {
            if (/^\s*(ox|es)lint-disable/.test(comment.value) && !/\s--\s+\S/.test(comment.value)) {
              context.report({ loc: comment.loc, message: 'Say why, after `--`.' });
            }
          }
        },
      }),
    },
  },
};
