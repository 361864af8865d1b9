export default { preset: 'node-server', srcDir: 'server', compatibilityDate: '2025-01-01' };
